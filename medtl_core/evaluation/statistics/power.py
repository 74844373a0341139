"""What a number of seeds can show: power of the paired t-test, and the effect it can detect."""

import math

from scipy import special, stats
from scipy.optimize import brentq

from medtl_core.errors import MedtlError

MANY_DEGREES = 1e6
"""Beyond these the t distribution is the normal one; the noncentral t is not defined at infinity."""


def power_paired_t(effect: float, sd: float, n: int, confidence: float = 0.95) -> float:
    """Chance that the two-sided paired t-interval of `n` seeds excludes 0, by the noncentral t.

    `effect` is the true mean difference and `sd` the standard deviation of the differences between seeds,
    both in the metric's unit. Without spread any effect is found, and none where there is none. MedtlError
    for a negative or non-finite sd, a non-finite effect, fewer than two seeds and a confidence not between 0
    and 1.
    """
    _check(sd, n, confidence)
    if not math.isfinite(effect):
        raise MedtlError(f"effect: {effect} found, expected a finite number in the metric's unit; give one")
    if sd == 0.0:
        return float(effect != 0.0)
    degrees, centre = n - 1, abs(effect) / sd * n**0.5
    critical = stats.t.ppf(0.5 + confidence / 2, degrees)
    # Both tails as upper ones: SciPy's lower tail, and with it statsmodels' power, is NaN for large effects.
    return float(stats.nct.sf(critical, degrees, centre) + stats.nct.sf(critical, degrees, -centre))


def detectable_effect(sd: float, n: int, power: float = 0.8, confidence: float = 0.95) -> float:
    """Smallest true mean difference (positive, in the metric's unit) that `n` seeds find with `power`.

    Exact: the noncentral t power is solved for the effect, not the normal approximation, which is far too
    hopeful at 5 seeds. Errors as `power_paired_t`, and MedtlError for a power outside (1 - confidence, 1).
    """
    _check(sd, n, confidence)
    if not 1.0 - confidence < power < 1.0:
        raise MedtlError(
            f"power: {power} found, expected more than {1.0 - confidence:.3g} and less than 1, usually .8"
        )
    if sd == 0.0:
        return 0.0
    upper = 1.0
    while power_paired_t(upper, 1.0, n, confidence) < power:
        upper *= 2.0
    return float(
        sd * brentq(lambda ratio: power_paired_t(ratio, 1.0, n, confidence) - power, 0.0, upper, xtol=1e-12)
    )


def power_one_sided_t(distance: float, standard_error: float, degrees: float, level: float) -> float:
    """Chance that a one-sided t-test at `level` finds an effect `distance` from the null's bound.

    `standard_error` is that of the estimate, with `degrees` of freedom; in the unit of `distance`. Exact, by
    the noncentral t. Without a standard error any distance above 0 is found.
    """
    if standard_error == 0.0:
        return float(distance > 0.0)
    degrees = min(degrees, MANY_DEGREES)
    # The functions behind `stats.t` and `stats.nct`, which planning asks thousands of times, without checks.
    critical = -special.stdtrit(degrees, level)
    missed = float(special.nctdtr(degrees, distance / standard_error, critical))
    # Far out SciPy's noncentral t is NaN; the test finds such an effect for certain.
    return 1.0 if math.isnan(missed) else 1.0 - missed


def detectable_margin(standard_error: float, degrees: float, level: float, power: float = 0.8) -> float:
    """Distance from the null's bound that a one-sided t-test at `level` finds with `power`.

    Arguments as `power_one_sided_t`, solved for the distance. 0 for no standard error. MedtlError unless
    0 < level < power < 1.
    """
    if not 0.0 < level < power < 1.0:
        raise MedtlError(f"level {level}, power {power} found, expected 0 < level < power < 1")
    if standard_error == 0.0:
        return 0.0

    def lacking(ratio: float) -> float:
        return power_one_sided_t(ratio, 1.0, degrees, level) - power

    upper = 1.0
    while lacking(upper) < 0.0:
        upper *= 2.0
    return standard_error * float(brentq(lacking, 0.0, upper, xtol=1e-9))


def _check(sd: float, n: int, confidence: float) -> None:
    if not 0.0 <= sd < math.inf:
        raise MedtlError(
            f"sd: {sd} found, expected a finite number of at least 0; take it with n - 1 over seeds"
        )
    if n < 2:
        raise MedtlError(f"n: {n} seeds found, expected at least 2; run more seeds")
    if not 0.0 < confidence < 1.0:
        raise MedtlError(f"confidence: {confidence} found, expected a share between 0 and 1, usually .95")
