"""Statistics over seeds and test cases: how a comparison of two arms becomes an interval and a p value."""

from medtl_core.evaluation.statistics.equivalence import equivalence, non_inferiority
from medtl_core.evaluation.statistics.intervals import Interval, mean_t, paired_t
from medtl_core.evaluation.statistics.multiplicity import holm
from medtl_core.evaluation.statistics.power import detectable_effect, power_paired_t
from medtl_core.evaluation.statistics.resampling import hierarchical_bootstrap
from medtl_core.evaluation.statistics.spread import SpreadComparison, brown_forsythe
from medtl_core.evaluation.statistics.trends import slope, spearman_trend

__all__ = [
    "Interval",
    "SpreadComparison",
    "brown_forsythe",
    "detectable_effect",
    "equivalence",
    "hierarchical_bootstrap",
    "holm",
    "mean_t",
    "non_inferiority",
    "paired_t",
    "power_paired_t",
    "slope",
    "spearman_trend",
]
