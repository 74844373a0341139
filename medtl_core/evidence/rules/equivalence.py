"""Equivalence: the arms differ by less than the margin, either way."""

from scipy import stats

from medtl_core.evaluation.statistics import Interval, equivalence
from medtl_core.evidence.rule import Rule
from medtl_core.evidence.rules.estimate import describe
from medtl_core.evidence.rules.kind import (
    SIGNIFICANCE,
    Decision,
    RuleKind,
    compared,
    not_after_correction,
    not_shown,
)


class Equivalence(RuleKind):
    """Two one-sided tests: H0 is a difference of the margin or more."""

    name = "equivalence"

    def check(self, rule: Rule) -> None:
        """As for every kind; a margin of 0 is refused as well."""
        super().check(rule)
        check_margin(rule)

    def p_values(self, rule: Rule, interval: Interval) -> tuple[float, float]:
        """The larger of the two one-sided p values; two-sided p value of lying outside."""
        assert rule.margin is not None
        beyond = abs(interval.estimate) - rule.margin
        if interval.standard_error == 0.0:
            outside = float(beyond <= 0.0)
        else:
            outside = min(
                1.0, 2 * float(stats.t.sf(beyond / interval.standard_error, interval.degrees_of_freedom))
            )
        return equivalence(interval, rule.margin)[0], outside

    def decide_interval(
        self, rule: Rule, interval: Interval, detectable: float, p_for: float, p_against: float
    ) -> Decision:
        """Supported inside the margin, contradicted outside it, refused or left open across it."""
        margin, found = rule.margin or 0.0, describe(interval)
        if p_for <= SIGNIFICANCE:
            return "supported", f"{found}: inside ±{margin:g}, adjusted p = {p_for:.2g}"
        if (interval.low > margin or interval.high < -margin) and p_against <= SIGNIFICANCE:
            return "contradicted", f"{found}: outside ±{margin:g}, adjusted p = {p_against:.2g}"
        if -margin < interval.low and interval.high < margin:
            return not_after_correction(found, p_for)
        return not_shown(found, f"equal within ±{margin:g}", margin, detectable)

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
