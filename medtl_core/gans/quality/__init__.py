"""How good generated images are: distances, coverage, what is told apart, what is copied."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "encoder": ["DomainEncoder", "backbone_features", "domain_encoder"],
        "image_distance": ["ImageDistance", "distance_to_real"],
        "manifold": ["precision_recall"],
        "memorisation": ["NearestTraining", "nearest_training"],
        "oracle": ["OracleAgreement", "oracle_agreement"],
        "probe": ["real_or_fake_auroc"],
        "sample_distance": ["frechet_distance", "kernel_distance"],
    },
)
