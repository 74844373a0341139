"""Trend: an arm's metric rises or falls along a factor."""

import numpy as np

from medtl_core.errors import MedtlError
from medtl_core.evaluation.statistics import Interval, slope, spearman_trend
from medtl_core.evidence.case_resampling import CaseIntervals
from medtl_core.evidence.pairing import Effects
from medtl_core.evidence.rule import Rule
from medtl_core.evidence.rules.kind import compared
from medtl_core.evidence.rules.superiority import Superiority, smallest_effect, stated_side


class TrendKind(Superiority):
    """H0: a slope or rank correlation of zero; one statistic a seed, judged like an effect."""

    name = "trend"
    needs = frozenset({"treatment", "trend"})
    refuses = frozenset({"control", "tolerance"})

    def interval(
        self, rule: Rule, effects: Effects, cases: CaseIntervals | None
    ) -> tuple[Interval | None, str]:
        """The interval of the slope or rank correlation; None where too few levels were measured.

        MedtlError where the factor's levels are not numbers.
        """
        assert rule.trend is not None
        trend = rule.trend
        levels = sorted({level for level, _ in effects.columns})
        least = 2 if trend.statistic == "slope" else 3
        if len(levels) < least:
            found = ", ".join(str(level) for level in levels)
            return None, f"measured at {trend.factor} = {found} alone, at least {least} levels needed"
        if not all(isinstance(level, int | float | np.number) for level in levels):
            raise MedtlError(
                f"trend along {trend.factor}: the levels {levels} are not numbers; choose a numeric factor"
            )
        curves = np.stack(
            [
                effects.values[:, [level == there for there, _ in effects.columns]].mean(axis=1)
                for level in levels
            ],
            axis=1,
        )
        if trend.statistic == "slope":
            return slope(levels, curves, trend.scale), ""
        return spearman_trend(levels, curves), ""

    def smallest_difference(self, rule: Rule) -> None:
        """None: the margin is one of slopes, not of differences between arms."""
        return None

    def claim_in_words(self, rule: Rule) -> str:
        """`auroc of scratch rises along n (log2 slope), smallest effect of interest 0.005`."""
        assert rule.trend is not None
        way = {"higher": "rises", "lower": "falls"}[rule.direction]
        along = f"{rule.trend.factor} ({rule.trend.scale} {rule.trend.statistic})"
        return f"{rule.metric} of {compared(rule, 'every arm')} {way} along {along}{smallest_effect(rule)}"

    def axis_in_words(self, rule: Rule) -> str:
        """`auroc: scratch, slope per doubling of n (stated: above 0)`."""
        assert rule.trend is not None
        if rule.trend.statistic == "spearman":
            unit = f"rank correlation with {rule.trend.factor}"
        else:
            per = {"linear": "per unit of", "log2": "per doubling of"}[rule.trend.scale]
            unit = f"slope {per} {rule.trend.factor}"
        return f"{rule.metric}: {compared(rule, 'value')}, {unit} (stated: {stated_side(rule)})"


KIND = TrendKind()
