"""Studies: trials over arms, seeds and factors, kept, resumed and run in parallel."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "choices": ["require_known"],
        "seeding": ["seed_everything", "select_device"],
        "study": ["DataIdentity", "Study"],
        "trial": ["Predictions"],
    },
)
