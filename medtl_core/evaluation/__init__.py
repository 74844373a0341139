"""Evaluation: metrics, calibration, distances between samples, and statistics."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submodules=["statistics"],
    submod_attrs={
        "calibration": ["reliability_table"],
        "discrepancy": ["median_bandwidth", "mmd2", "mmd_test", "proxy_a_distance"],
        "label_efficiency": ["labels_needed"],
        "metrics": ["all_metrics", "auprc", "auroc", "recall_per_class"],
        "statistics": ["detectable_effect", "mean_t", "paired_t"],
    },
)
