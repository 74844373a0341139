"""Maps of source and target into one space: subspace alignment, TCA, CORAL, optimal transport."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "alignment": ["align_subspaces"],
        "common_space": ["CommonSpace"],
        "correlation_alignment": ["coral"],
        "heterogeneity": ["domains_differ"],
        "component_analysis": ["transfer_components"],
        "transport": ["optimal_transport", "transport_plan"],
    },
)
