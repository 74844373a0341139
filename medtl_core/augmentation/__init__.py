"""Augmentation of training images: transforms by name, policies, and the same through albumentations."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "catalogue": ["describe", "transform_names"],
        "deformable": ["bspline", "elastic", "jacobian_determinant"],
        "generated": ["Generator"],
        "per_image": ["albumentations_pipeline"],
        "policy": ["AugmentationPolicy", "Augmented"],
        "sheet": ["examples_sheet", "strength_slider"],
        "transforms": ["Transform", "transform"],
    },
)
