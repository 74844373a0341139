"""Non-inferiority: the treatment is not worse than the control by the margin."""

from medtl_core.evaluation.statistics import Interval
from medtl_core.evidence.rule import Rule
from medtl_core.evidence.rules.equivalence import check_margin
from medtl_core.evidence.rules.kind import RuleKind, compared
from medtl_core.evidence.rules.one_sided import in_stated_direction, p_above
from medtl_core.evidence.rules.superiority import stated_side
from medtl_core.evidence.words import PValues


class NonInferiority(RuleKind):
    """One one-sided test: H0 is worse by the margin or more."""

    name = "non_inferiority"

    def check(self, rule: Rule) -> None:
        """As for every kind; a margin of 0 is refused as well."""
        super().check(rule)
        check_margin(rule)

    def p_values(self, rule: Rule, interval: Interval) -> PValues:
        """H0 at the accepted loss, from either side."""
        assert rule.margin is not None
        effect = in_stated_direction(rule, interval)
        worse = p_above(-effect, rule.margin, interval)
        return PValues(p_above(effect, -rule.margin, interval), worse, 1.0)

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
