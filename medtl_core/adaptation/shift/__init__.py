"""How far domains lie apart, in what way, and how much of the gap an adaptation closes."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "gap": ["GapClosed", "gap_closed"],
        "mmd": ["linear_mmd2", "multi_kernel_mmd2"],
        "probing": ["CentreProbe", "centre_probe"],
        "shift_tests": ["KindOfShift", "kind_of_shift"],
    },
)
