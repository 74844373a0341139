"""Domain adaptation: from a labelled source to an unlabelled target, and how to choose and judge a method.

Target labels are an argument nowhere.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submodules=["deep", "images", "label_shift", "shift", "subspace", "validators", "weighting"],
    submod_attrs={
        "domains": ["domain_indices", "shared_classes"],
        "shallow": ["AdaptedClassifier", "adapt", "method_names"],
    },
)
