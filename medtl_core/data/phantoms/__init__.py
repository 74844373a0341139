"""Digital phantoms: images drawn with a known truth."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "acquisition": ["stamp_marks"],
        "known_bayes": ["draw_known_bayes"],
        "phantoms": ["SPECS", "draw"],
        "volumes": ["draw_volumes"],
    },
)
