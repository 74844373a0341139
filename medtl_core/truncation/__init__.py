"""Truncated transfer learning: cutting networks, finding the cut, and what it is compared with."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "cut_costs": ["costs_of_cuts"],
        "cut_search": ["exhaustive_search", "two_stage_search"],
        "probe_sweep": ["features_at_cuts", "sweep"],
        "transfusion": ["transfuse"],
        "truncated": ["Truncation", "truncate"],
    },
)
