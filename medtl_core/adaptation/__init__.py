"""Domain adaptation: from a labelled source to an unlabelled target, and how to choose and judge a method."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submodules=["deep", "shift", "validators"],
)
