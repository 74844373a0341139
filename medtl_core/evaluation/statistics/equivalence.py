"""Showing that a difference is small: equivalence and non-inferiority by one-sided t-tests."""

from typing import Literal

from numpy.typing import ArrayLike
from scipy import stats

from medtl_core.errors import MedtlError
from medtl_core.evaluation.statistics.intervals import ROUND_OFF, Interval, mean_t, t_interval

TEST_CONFIDENCE = 0.9
"""Two one-sided tests at 5 % hold exactly when the two-sided 90 % interval lies inside the margin."""


def equivalence(differences: ArrayLike | Interval, margin: float) -> tuple[float, Interval]:
    """Two one-sided tests of |mean difference| < margin (Schuirmann 1987): p value and 90 % interval.

    `differences` is (S,), one paired difference a seed, or an Interval from `paired_t` or
    `hierarchical_bootstrap`. Equivalent at 5 % where p < .05. A mean that stands on the margin is never
    equivalent. MedtlError for a margin that is not positive and for bad values (`mean_t`).
    """
    interval = _test_interval(differences, margin)
    estimate = interval.estimate
    return max(_p_above(estimate, -margin, interval), _p_above(-estimate, -margin, interval)), interval


def non_inferiority(
    differences: ArrayLike | Interval, margin: float, direction: Literal["higher", "lower"] = "higher"
) -> tuple[float, Interval]:
    """One-sided test that treatment is not worse than control by the margin: p value and 90 % interval.

    With `direction` "higher" (higher is better) it shows difference > -margin, with "lower" difference <
    margin. Arguments and errors as `equivalence`.
    """
    interval = _test_interval(differences, margin)
    if direction not in ("higher", "lower"):
        raise MedtlError(
            f"direction: {direction!r} found, expected higher or lower; say which values are better"
        )
    gain = interval.estimate if direction == "higher" else -interval.estimate
    return _p_above(gain, -margin, interval), interval


def _test_interval(differences: ArrayLike | Interval, margin: float) -> Interval:
    if not 0.0 < margin < float("inf"):
        raise MedtlError(
            f"margin: {margin} found, expected a positive number in the metric's unit; .01 for AUROC"
        )
    if not isinstance(differences, Interval):
        return mean_t(differences, TEST_CONFIDENCE)
    return t_interval(
        estimate=differences.estimate,
        standard_error=differences.standard_error,
        degrees=differences.degrees_of_freedom,
        n=differences.n,
        sd=differences.sd,
        method=differences.method,
        confidence=TEST_CONFIDENCE,
    )


def _p_above(estimate: float, bound: float, interval: Interval) -> float:
    """One-sided p value of the null hypothesis that the mean, found as `estimate`, is at most `bound`."""
    distance = estimate - bound
    if interval.standard_error == 0.0:
        # Shifting identical values by the margin leaves a distance of round-off, of either sign.
        return float(distance <= ROUND_OFF * abs(bound))
    return float(stats.t.sf(distance / interval.standard_error, interval.degrees_of_freedom))
