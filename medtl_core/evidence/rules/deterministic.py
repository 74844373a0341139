"""Deterministic: every value, or every paired difference, meets a tolerance."""

import operator
from collections.abc import Callable

import numpy as np

from medtl_core.evaluation.statistics import Interval
from medtl_core.evidence.case_resampling import CaseIntervals
from medtl_core.evidence.pairing import Stratum, paired_effects
from medtl_core.evidence.rule import Rule
from medtl_core.evidence.rules.estimate import Estimate
from medtl_core.evidence.rules.kind import RuleKind, compared
from medtl_core.evidence.words import UNTESTED, PValues

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le, "<": operator.lt, ">=": operator.ge, ">": operator.gt, "==": operator.eq,
}  # fmt: skip


class Deterministic(RuleKind):
    """An identity, a count or a bound, which no chance enters; one value suffices."""

    name = "deterministic"
    needs = frozenset({"tolerance"})
    refuses = frozenset({"trend", "margin"})
    least_seeds = 1
    has_interval = False
    tests = False

    def estimate(self, rule: Rule, stratum: Stratum, cases: CaseIntervals | None) -> Estimate:
        """Whether every value (with a control: every paired difference) meets the tolerance; the worst."""
        assert rule.tolerance is not None
        found = stratum.records["value"].to_numpy()
        if rule.control is not None:
            found = paired_effects(rule, stratum.records).values.ravel()
        if not len(found):
            return Estimate.of(stratum, None, 0, note="no pair of both arms")
        op, bound = rule.tolerance.op, rule.tolerance.value
        badness = {"<": found, "<=": found, ">": -found, ">=": -found, "==": np.abs(found - bound)}[op]
        worst = float(found[badness.argmax()])
        extremes = (worst, float(found.min()), float(found.max()))
        met = all(OPERATORS[op](float(value), bound) for value in found)
        return Estimate.of(stratum, None, len(found), met=met, extremes=extremes)

    def p_values(self, rule: Rule, interval: Interval) -> PValues:
        """Never asked: nothing is left to chance."""
        return UNTESTED

    def claim_in_words(self, rule: Rule) -> str:
        """`conv_max_abs_error of identity <= 1e-05`."""
        assert rule.tolerance is not None
        wanted = f"{rule.tolerance.op} {rule.tolerance.value:g}"
        return f"{rule.metric} of {compared(rule, 'every arm')} {wanted}"

    def axis_in_words(self, rule: Rule) -> str:
        """`conv_max_abs_error: identity`."""
        return f"{rule.metric}: {compared(rule, 'value')}"


KIND = Deterministic()
