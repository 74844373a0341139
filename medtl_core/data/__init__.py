"""Data: archives, their sources, splits, and what is done to images before a network sees them."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submodules=["audit", "cards", "corruptions", "phantoms", "sources"],
    submod_attrs={
        "clahe": ["apply_clahe"],
        "duplicates": ["content_ids", "joined_groups"],
        "masking": ["background_only", "centre_only", "inscribed_ellipse"],
        "measurable": ["require_measurable"],
        "splits": ["Split", "nested_subset", "split"],
        "tensors": ["DeviceDataset", "Normalisation"],
    },
)
