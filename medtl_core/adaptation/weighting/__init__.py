"""Instance weighting: weights for source cases under which they resemble the target."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "discriminative": ["discriminative_weights"],
        "kernel_mean_matching": ["kmm_weights"],
        "kullback_leibler": ["kliep_weights"],
        "least_squares": ["ulsif_weights"],
        "sample_size": ["effective_sample_size"],
    },
)
