"""Statistics over seeds and test cases: how a comparison of two arms becomes an interval and a p value."""

from medtl_core.evaluation.statistics.equivalence import equivalence, non_inferiority
from medtl_core.evaluation.statistics.intervals import Interval, mean_t, paired_t
from medtl_core.evaluation.statistics.multiplicity import holm
from medtl_core.evaluation.statistics.permutation import permutation_p
from medtl_core.evaluation.statistics.planning import Size, size_needed
from medtl_core.evaluation.statistics.power import detectable_effect, detectable_margin, power_paired_t
from medtl_core.evaluation.statistics.resampling import (
    contrast_bootstrap,
    hierarchical_bootstrap,
    interval_of_draws,
)
from medtl_core.evaluation.statistics.spread import SpreadComparison, brown_forsythe
from medtl_core.evaluation.statistics.trends import (
    slope,
    slope_by_seed,
    spearman_by_seed,
    spearman_trend,
)

__all__ = [
    "Interval",
    "Size",
    "SpreadComparison",
    "brown_forsythe",
    "contrast_bootstrap",
    "detectable_effect",
    "detectable_margin",
    "equivalence",
    "hierarchical_bootstrap",
    "holm",
    "interval_of_draws",
    "mean_t",
    "non_inferiority",
    "paired_t",
    "permutation_p",
    "power_paired_t",
    "size_needed",
    "slope",
    "slope_by_seed",
    "spearman_by_seed",
    "spearman_trend",
]
