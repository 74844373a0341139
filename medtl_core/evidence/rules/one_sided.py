"""One-sided t-tests of an effect against a bound, in the direction that a rule states."""

from scipy import stats

from medtl_core.evaluation.statistics import Interval
from medtl_core.evidence.rule import Rule

ROUND_OFF = 1e-12


def in_stated_direction(rule: Rule, interval: Interval) -> float:
    """The estimate with its sign turned so that positive is what the hypothesis says."""
    return interval.estimate if rule.direction == "higher" else -interval.estimate


def p_above(effect: float, bound: float, interval: Interval) -> float:
    """p value of H0 "the effect, found as `effect`, is at most `bound`"; the error is the interval's."""
    distance = effect - bound
    if interval.standard_error == 0.0:
        return float(distance <= ROUND_OFF * abs(bound))
    return float(stats.t.sf(distance / interval.standard_error, interval.degrees_of_freedom))
