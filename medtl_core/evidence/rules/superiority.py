"""Superiority: the treatment exceeds the control, by at least the smallest effect of interest."""

from medtl_core.evaluation.statistics import Interval
from medtl_core.evidence.rule import Rule
from medtl_core.evidence.rules.kind import RuleKind, compared
from medtl_core.evidence.rules.one_sided import ROUND_OFF, in_stated_direction, p_above
from medtl_core.evidence.words import PValues


class Superiority(RuleKind):
    """H0: no effect, or one in the other direction. The estimate has to reach the margin as well."""

    name = "superiority"

    def p_values(self, rule: Rule, interval: Interval) -> PValues:
        """H0 at 0 for hypothesis and opposite, where the estimate reaches the margin; H0 at the margin."""
        effect, margin = in_stated_direction(rule, interval), rule.margin or 0.0
        return PValues(
            holds=p_above(effect, 0.0, interval) if effect >= margin - ROUND_OFF else 1.0,
            opposite=p_above(-effect, 0.0, interval) if -effect >= margin - ROUND_OFF else 1.0,
            smaller=p_above(-effect, -margin, interval) if margin else 1.0,
        )

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
