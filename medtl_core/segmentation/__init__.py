"""Segmentation across domains: networks, losses, adaptation, and how far a network sees."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submodules=["networks"],
    submod_attrs={
        "cases": ["SegmentationCases", "UnlabelledImages", "domain_cases", "volume_cases"],
        "dice": ["dice_per_case", "measure_dice", "predict_masks"],
    },
)
