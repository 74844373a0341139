"""Student t-intervals of a mean over seeds, the form in which every comparison is reported."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from medtl_core.errors import MedtlError

ROUND_OFF = 1e-9
"""Spread below this share of the largest value is floating-point noise and counts as none."""


@dataclass(frozen=True)
class Interval:
    """A mean over seeds with its confidence interval.

    `n` seeds; `p_value` two-sided against 0; `sd` between seeds, with n - 1; `standard_error` of the estimate
    and the `degrees_of_freedom` of its t distribution (infinite: normal).
    """

    estimate: float
    low: float
    high: float
    n: int
    p_value: float
    sd: float
    method: str
    standard_error: float
    degrees_of_freedom: float


def mean_t(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """One-sample t-interval of the mean of values (S,), one a seed.

    If all values agree the interval has no width, and p is 0 (or 1 where they all are 0).
    MedtlError for fewer than two values, values that are not finite, and a confidence outside (0, 1).
    """
    sample = checked_values(values, "values")
    sd = standard_deviation(sample)
    return t_interval(
        estimate=float(sample.mean()),
        standard_error=sd / sample.size**0.5,
        degrees=sample.size - 1,
        n=sample.size,
        sd=sd,
        method="t over seeds",
        confidence=confidence,
    )


def paired_t(treatment: ArrayLike, control: ArrayLike, confidence: float = 0.95) -> Interval:
    """Paired t-interval of the mean difference treatment - control; arms (S,), seed by seed.

    The interval over few seeds is a t-interval because a percentile bootstrap of 5 seeds covers 84 % where it
    says 95. Errors as `mean_t`, and MedtlError if the lengths differ.
    """
    return replace(mean_t(paired_differences(treatment, control), confidence), method="paired t over seeds")


def paired_differences(treatment: ArrayLike, control: ArrayLike) -> NDArray[np.float64]:
    """treatment - control (S,), exactly 0 where the two differ by round-off only; errors as `paired_t`."""
    treated, untreated = checked_values(treatment, "treatment"), checked_values(control, "control")
    if treated.size != untreated.size:
        raise MedtlError(
            f"pairs: {treated.size} treatment and {untreated.size} control values found, expected as many; "
            f"run every seed in both arms"
        )
    return np.where(np.isclose(treated, untreated, rtol=1e-12, atol=0.0), 0.0, treated - untreated)


def t_interval(
    *,
    estimate: float,
    standard_error: float,
    degrees: float,
    n: int,
    sd: float,
    method: str,
    confidence: float,
) -> Interval:
    """Interval estimate +- t * standard_error with `degrees` of freedom; of no width where the error is 0."""
    if not 0.0 < confidence < 1.0:
        raise MedtlError(f"confidence: {confidence} found, expected a share between 0 and 1, usually .95")
    if standard_error == 0.0:
        half_width, p_value = 0.0, float(estimate == 0.0)
    else:
        half_width = float(stats.t.ppf(0.5 + confidence / 2, degrees)) * standard_error
        p_value = float(2 * stats.t.sf(abs(estimate) / standard_error, degrees))
    return Interval(
        estimate=estimate,
        low=estimate - half_width,
        high=estimate + half_width,
        n=n,
        p_value=p_value,
        sd=sd,
        method=method,
        standard_error=standard_error,
        degrees_of_freedom=float(degrees),
    )


def checked_values(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """Values as float64 (S,); MedtlError unless there are at least two and all are finite."""
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or sample.size < 2:
        raise MedtlError(
            f"{name}: shape {sample.shape} found, expected (S,) with S >= 2; run at least two seeds"
        )
    broken = np.flatnonzero(~np.isfinite(sample))
    if broken.size:
        raise MedtlError(
            f"{name}: {sample[broken[0]]} found at position {broken[0]}, expected finite numbers; "
            f"look for a failed trial"
        )
    return sample


def standard_deviation(sample: NDArray[np.float64]) -> float:
    """Standard deviation with n - 1, exactly 0 where the values differ by floating-point noise only."""
    if np.ptp(sample) <= ROUND_OFF * np.abs(sample).max():
        return 0.0
    return float(sample.std(ddof=1))
