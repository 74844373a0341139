"""Training: one loop, policies, frozen features and prediction."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submodules=["policies"],
    submod_attrs={
        "features": ["FeatureSet", "pooled_features"],
        "looks": ["Looks", "best_step_share", "last_change", "last_tenth"],
        "loop": ["FitConfig", "fit"],
        "prediction": ["predict"],
    },
)
