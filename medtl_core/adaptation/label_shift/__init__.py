"""Label shift: other shares of the classes in the target, estimated without its labels."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "black_box": ["bbse_weights"],
        "expectation_maximisation": ["adjusted_posteriors", "saerens_em"],
    },
)
