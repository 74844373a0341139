"""Generative adversarial networks: losses, networks, one training loop per family, quality of images."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submodules=["kept", "loops", "losses", "networks", "quality"],
    submod_attrs={
        "cyclegan_networks": ["cycle_networks"],
        "differentiable": ["augment_differentiably"],
        "pictures": ["LatentWalk", "film", "latent_walk"],
        "phantom_pairs": ["paired_scanners", "with_and_without_lesion"],
    },
)
