"""Explanation: where a network finds its evidence, and judges of what such maps are worth."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submodules=["judges"],
    submod_attrs={
        "counterfactuals": ["Counterfactual", "counterfactual"],
        "explaining": ["Explanation", "explain"],
        "figure": ["maps_figure"],
        "map_viewer": ["Overlay", "overlay"],
        "methods": ["method_names"],
        "nearest_cases": ["prototypes"],
        "surrogates": ["surrogate_tree"],
    },
)
