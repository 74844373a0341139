"""Explanation: where a network finds its evidence, and judges of what such maps are worth."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "explain": ["Explanation", "explain"],
        "methods": ["method_names"],
    },
)
