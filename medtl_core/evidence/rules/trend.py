"""Trend: an arm's metric rises or falls along a factor."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from medtl_core.errors import MedtlError
from medtl_core.evaluation.statistics import slope_by_seed, spearman_by_seed
from medtl_core.evidence.case_resampling import Summary
from medtl_core.evidence.pairing import Effects, level_name
from medtl_core.evidence.rule import Rule, Trend
from medtl_core.evidence.rules.kind import compared
from medtl_core.evidence.rules.superiority import Superiority, smallest_effect, stated_side

LEAST_LEVELS = 4
"""Two levels are a line through two points, and a rank correlation of three is coarse."""


class TrendKind(Superiority):
    """H0: a slope or rank correlation of zero; one statistic a seed, judged like an effect."""

    name = "trend"
    needs = frozenset({"treatment", "trend"})
    refuses = frozenset({"control", "tolerance"})

    def summary(self, rule: Rule, effects: Effects) -> tuple[Summary | None, str]:
        """Slope or rank correlation of each seed; None where too few levels were measured.

        MedtlError where the factor's levels are not numbers, and for values that have no logarithm.
        """
        assert rule.trend is not None
        trend = rule.trend
        levels = sorted({level for level, _ in effects.columns})
        if len(levels) < LEAST_LEVELS:
            found = ", ".join(level_name(level) for level in levels)
            return None, f"measured at {trend.factor} = {found}, at least {LEAST_LEVELS} levels needed"
        if not all(isinstance(level, int | float | np.number) for level in levels):
            raise MedtlError(
                f"trend along {trend.factor}: the levels {levels} are not numbers; choose a numeric factor"
            )
        at = np.array([[level == there for there, _ in effects.columns] for level in levels], dtype=float)
        averages = at / at.sum(axis=1, keepdims=True)
        lowest = float((effects.values @ averages.T).min())
        if trend.value_scale == "log" and lowest <= 0:
            raise MedtlError(f"metric {rule.metric}: {lowest:g} found, expected positive values with log")
        return partial(_along, trend, levels, averages), ""

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


def _along(
    trend: Trend, levels: list[float], averages: NDArray[np.float64], effects: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The statistic (...) of effects (..., C), columns of one level averaged."""
    curves = (effects @ averages.T).reshape(-1, len(levels))
    if trend.value_scale == "log":
        curves = np.log(np.maximum(curves, np.finfo(float).tiny))
    by_row = (
        spearman_by_seed(levels, curves)
        if trend.statistic == "spearman"
        else slope_by_seed(levels, curves, trend.scale)
    )
    return np.asarray(by_row.reshape(effects.shape[:-1]))


KIND = TrendKind()
