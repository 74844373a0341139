"""Equivalence: the arms differ by less than the margin, either way."""

from medtl_core.evaluation.statistics import Interval
from medtl_core.evidence.rule import Rule
from medtl_core.evidence.rules.kind import POWER, RuleKind, compared
from medtl_core.evidence.rules.one_sided import p_above
from medtl_core.evidence.words import PValues


class Equivalence(RuleKind):
    """Two one-sided tests (Schuirmann 1987): H0 is a difference of the margin or more."""

    name = "equivalence"
    power = 1 - (1 - POWER) / 2  # equal arms are shown to be equal with power .8 where each test has .9

    def check(self, rule: Rule) -> None:
        """As for every kind; a margin of 0 is refused as well."""
        super().check(rule)
        check_margin(rule)

    def p_values(self, rule: Rule, interval: Interval) -> PValues:
        """The larger of the two one-sided p values; twice that of lying outside, on either side."""
        assert rule.margin is not None
        effect = interval.estimate
        inside = max(p_above(effect, -rule.margin, interval), p_above(-effect, -rule.margin, interval))
        outside = min(1.0, 2 * p_above(abs(effect), rule.margin, interval))
        return PValues(inside, outside, 1.0)

    def claim_in_words(self, rule: Rule) -> str:
        """`full − scratch in auroc lies within ±0.01`."""
        return f"{compared(rule, 'every arm')} in {rule.metric} lies within ±{rule.margin:g}"

    def axis_in_words(self, rule: Rule) -> str:
        """`auroc: full − scratch (stated: no difference)`."""
        return f"{rule.metric}: {compared(rule, 'value')} (stated: no difference)"

    def plot_band(self, rule: Rule) -> tuple[float, float] | None:
        """The margin on both sides."""
        return (-rule.margin, rule.margin) if rule.margin else None


def check_margin(rule: Rule) -> None:
    """Raise ValueError for a margin of 0, inside which nothing can lie."""
    if rule.margin == 0:
        raise ValueError("margin is 0, expected the positive margin inside which arms count as equal")


KIND = Equivalence()
