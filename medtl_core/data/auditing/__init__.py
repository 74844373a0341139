"""The whole audit of a data set: near duplicates, shortcuts, pictures, and what is written of them."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "croissant": ["croissant_metadata"],
        "known_verdicts": ["known_verdict"],
        "near_duplicates": ["near_pairs", "perceptual_hashes"],
        "probes": ["probe"],
        "report": ["AuditReport", "full_audit", "quick_verdict"],
        "sheets": ["finding_sheet"],
        "verdicts": ["Verdict", "verdict"],
    },
)
