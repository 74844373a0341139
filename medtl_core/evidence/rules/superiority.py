"""Superiority: the treatment exceeds the control, by at least the smallest effect of interest."""

from medtl_core.evaluation.statistics import Interval
from medtl_core.evidence.rule import Rule
from medtl_core.evidence.rules.estimate import describe
from medtl_core.evidence.rules.kind import (
    SIGNIFICANCE,
    Decision,
    RuleKind,
    compared,
    in_stated_direction,
    not_after_correction,
)

ROUND_OFF = 1e-12


class Superiority(RuleKind):
    """H0: no effect. Supported where H0 is refused and the estimate reaches the margin."""

    name = "superiority"

    def p_values(self, rule: Rule, interval: Interval) -> tuple[float, float]:
        """The two-sided p value of "no effect", for both directions."""
        return interval.p_value, interval.p_value

    def decide_interval(
        self, rule: Rule, interval: Interval, detectable: float, p_for: float, p_against: float
    ) -> Decision:
        """Refused where the interval excludes the margin, or where an effect as large would have shown."""
        effect, low, high = in_stated_direction(rule, interval)
        margin, found = rule.margin or 0.0, describe(interval)
        corrected = f"adjusted p = {p_for:.2g}"
        if low > 0 and effect >= margin - ROUND_OFF:
            if p_for <= SIGNIFICANCE:
                return "supported", f"{found}, {corrected}"
            return not_after_correction(found, p_for)
        if high < 0 and -effect >= margin - ROUND_OFF and p_for <= SIGNIFICANCE:
            return "contradicted", f"{found}: the other way round, {corrected}"
        if high < margin:
            return "not supported", f"{found}: smaller than the smallest effect of interest, {margin:g}"
        if low <= 0 and margin and detectable <= margin:
            return "not supported", f"{found}: an effect of {margin:g} would have been found"
        return "inconclusive", f"{found}; an effect of {detectable:.2g} could have been detected"

    def claim_in_words(self, rule: Rule) -> str:
        """`full − scratch in auroc is above 0, smallest effect of interest 0.005`."""
        return f"{compared(rule, 'every arm')} in {rule.metric} is {stated_side(rule)}{smallest_effect(rule)}"

    def axis_in_words(self, rule: Rule) -> str:
        """`auroc: full − scratch (stated: above 0)`."""
        return f"{rule.metric}: {compared(rule, 'value')} (stated: {stated_side(rule)})"


def stated_side(rule: Rule) -> str:
    """On which side of zero the hypothesis places the effect."""
    return {"higher": "above 0", "lower": "below 0"}[rule.direction]


def smallest_effect(rule: Rule) -> str:
    """The smallest effect of interest as the end of a sentence; empty for none."""
    return f", smallest effect of interest {rule.margin:g}" if rule.margin else ""


KIND = Superiority()
