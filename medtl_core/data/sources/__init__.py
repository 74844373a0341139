"""Where data sets come from: registry, cards, downloads, locations."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__, submodules=["registry"], submod_attrs={"registry": ["load", "card", "checksum"]}
)
