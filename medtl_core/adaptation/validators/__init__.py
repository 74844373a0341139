"""Model choice without labels of the target: named validators over arrays."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "domain_weights": ["density_ratio", "effective_sample_size"],
        "named": ["VALIDATORS", "Validator", "choose", "validator_named"],
        "outputs": ["Outputs"],
        "risks": ["case_losses", "deep_embedded_validation", "importance_weighted_risk", "source_risk"],
        "target_outputs": ["prediction_entropy", "soft_neighbourhood_density"],
    },
)
