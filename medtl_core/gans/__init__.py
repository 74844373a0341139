"""Generative adversarial networks: losses, networks, one training loop per family, quality of images."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submodules=["loops", "losses", "networks", "quality"],
)
