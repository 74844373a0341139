"""medtl: the executable companion to a survey of transfer learning for medical image classification."""

import lazy_loader as lazy

__version__ = "0.1.0"

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
