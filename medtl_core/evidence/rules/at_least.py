"""At least: the effect, or an arm's value, exceeds a number that the statement names."""

from medtl_core.evaluation.statistics import Interval
from medtl_core.evidence.rule import Rule
from medtl_core.evidence.rules.kind import compared
from medtl_core.evidence.rules.one_sided import in_stated_direction, p_above
from medtl_core.evidence.rules.superiority import Superiority
from medtl_core.evidence.words import PValues


class AtLeast(Superiority):
    """H0: the effect is at most the margin."""

    name = "at_least"
    needs = frozenset({"treatment", "margin"})

    def p_values(self, rule: Rule, interval: Interval) -> PValues:
        """H0 at the number that is named, from either side; the opposite is an effect of the other sign."""
        effect = in_stated_direction(rule, interval)
        bound = bound_of(rule) if rule.direction == "higher" else -bound_of(rule)
        return PValues(
            holds=p_above(effect, bound, interval),
            opposite=p_above(-effect, 0.0, interval) if rule.control is not None else 1.0,
            smaller=p_above(-effect, -bound, interval),
        )

    def distance(self, rule: Rule) -> None:
        """None: how far beyond the number that is named an effect lies, no statement says."""

    def claim_in_words(self, rule: Rule) -> str:
        """`full − scratch in auroc is above 0.05`, or of one arm `auroc of full is above 0.8`."""
        bound = f"{'above' if rule.direction == 'higher' else 'below'} {bound_of(rule):g}"
        if rule.control is None:
            return f"{rule.metric} of {rule.treatment} is {bound}"
        return f"{compared(rule, 'every arm')} in {rule.metric} is {bound}"

    def axis_in_words(self, rule: Rule) -> str:
        """`auroc: full − scratch (stated: above 0.05)`."""
        side = "above" if rule.direction == "higher" else "below"
        return f"{rule.metric}: {compared(rule, 'value')} (stated: {side} {bound_of(rule):g})"


def bound_of(rule: Rule) -> float:
    """The number that is named, with the sign of the stated direction where two arms are compared."""
    margin = rule.margin or 0.0
    return -margin if rule.direction == "lower" and rule.control is not None else margin


KIND = AtLeast()
