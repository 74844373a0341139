"""Training: one loop, policies, frozen features and prediction."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submodules=["policies"],
    submod_attrs={
        "features": ["FeatureSet", "pooled_features"],
        "loop": ["FitConfig", "fit"],
        "prediction": ["predict"],
    },
)
