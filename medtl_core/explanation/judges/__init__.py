"""Judges of explanations: one kind of question a file."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "agreement": ["agreement_table"],
        "judgement": ["Judgement"],
        "table": ["judge", "judge_names"],
    },
)
