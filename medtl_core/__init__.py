"""medtl: the executable companion to a survey of transfer learning for medical image classification."""

from importlib.metadata import PackageNotFoundError, version

import lazy_loader as lazy

try:
    __version__ = version("medtl")  # of the last `make env` or `pip install`
except PackageNotFoundError:  # the sources are on the path and nothing is installed
    __version__ = "0+unknown"

__getattr__, __dir__, _rooms = lazy.attach(
    __name__,
    submodules=[
        "backbones",
        "data",
        "evaluation",
        "evidence",
        "reporting",
        "study",
        "training",
        "transfer",
        "truncation",
    ],
)
