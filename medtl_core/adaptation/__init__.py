"""Domain adaptation: labelled source, unlabelled target. Target labels are an argument nowhere."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submodules=["images", "label_shift", "subspace", "weighting"],
    submod_attrs={
        "domains": ["domain_indices", "shared_classes"],
        "shallow": ["AdaptedClassifier", "adapt", "method_names"],
    },
)
