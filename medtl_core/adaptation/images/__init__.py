"""Images of the source made to look like the target's: histograms, stain, low frequencies."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "fourier": ["fourier_adaptation"],
        "histograms": ["match_histograms"],
        "macenko": ["Stain", "macenko_normalisation"],
        "reinhard": ["reinhard_normalisation"],
    },
)
