"""Does one arm vary more between seeds than the other?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from medtl_core.evaluation.statistics.intervals import checked_values, standard_deviation


@dataclass(frozen=True)
class SpreadComparison:
    """Ratio of standard deviations treatment / control (infinite or NaN if the control has none), p value."""

    ratio: float
    p_value: float


def brown_forsythe(treatment: ArrayLike, control: ArrayLike) -> SpreadComparison:
    """Brown-Forsythe test of equal spread of two arms, values (S,) each: Levene's test around the medians.

    Robust to skewed metrics (AUROC near 1), and conservative at few seeds. Two arms without any spread give p
    = 1. MedtlError for fewer than two values in an arm and values that are not finite.
    """
    treated, untreated = checked_values(treatment, "treatment"), checked_values(control, "control")
    sd_treatment, sd_control = standard_deviation(treated), standard_deviation(untreated)
    if sd_treatment == sd_control == 0.0:
        return SpreadComparison(ratio=float("nan"), p_value=1.0)
    ratio = sd_treatment / sd_control if sd_control else float("inf")
    p_value = stats.levene(treated, untreated, center="median").pvalue
    return SpreadComparison(ratio=ratio, p_value=float(np.asarray(p_value)))
