"""Non-inferiority: the treatment is not worse than the control by the margin."""

from medtl_core.evaluation.statistics import Interval, non_inferiority
from medtl_core.evidence.rule import Rule
from medtl_core.evidence.rules.equivalence import check_margin
from medtl_core.evidence.rules.estimate import describe
from medtl_core.evidence.rules.kind import (
    SIGNIFICANCE,
    Decision,
    RuleKind,
    compared,
    in_stated_direction,
    not_after_correction,
    not_shown,
)
from medtl_core.evidence.rules.superiority import stated_side


class NonInferiority(RuleKind):
    """One one-sided test: H0 is worse by the margin or more."""

    name = "non_inferiority"

    def check(self, rule: Rule) -> None:
        """As for every kind; a margin of 0 is refused as well."""
        super().check(rule)
        check_margin(rule)

    def p_values(self, rule: Rule, interval: Interval) -> tuple[float, float]:
        """The one-sided p value, and that of the opposite side."""
        assert rule.margin is not None
        p_for = non_inferiority(interval, rule.margin, rule.direction)[0]
        return p_for, 1.0 - p_for

    def decide_interval(
        self, rule: Rule, interval: Interval, detectable: float, p_for: float, p_against: float
    ) -> Decision:
        """Supported above the margin, contradicted below it, refused or left open across it."""
        margin, found = rule.margin or 0.0, describe(interval)
        _, low, high = in_stated_direction(rule, interval)
        if p_for <= SIGNIFICANCE:
            return "supported", f"{found}: not worse by {margin:g}, adjusted p = {p_for:.2g}"
        if high < -margin and p_against <= SIGNIFICANCE:
            return "contradicted", f"{found}: worse by more than {margin:g}, adjusted p = {p_against:.2g}"
        if low > -margin:
            return not_after_correction(found, p_for)
        return not_shown(found, f"not worse by {margin:g}", margin, detectable)

    def claim_in_words(self, rule: Rule) -> str:
        """`full − scratch in auroc is above −0.01`."""
        way = {"higher": "above", "lower": "below"}[rule.direction]
        sign = {"higher": "−", "lower": "+"}[rule.direction]
        return f"{compared(rule, 'every arm')} in {rule.metric} is {way} {sign}{rule.margin:g}"

    def axis_in_words(self, rule: Rule) -> str:
        """`auroc: full − scratch (stated: above 0)`."""
        return f"{rule.metric}: {compared(rule, 'value')} (stated: {stated_side(rule)})"

    def plot_band(self, rule: Rule) -> tuple[float, float] | None:
        """The loss that is accepted: between 0 and the margin on the side that is worse."""
        if not rule.margin:
            return None
        return (-rule.margin, 0.0) if rule.direction == "higher" else (0.0, rule.margin)


KIND = NonInferiority()
