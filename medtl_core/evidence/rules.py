"""From records to estimates: one effect with its interval per data set and stratum of a rule."""

import operator
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from medtl_core.errors import MedtlError
from medtl_core.evaluation.statistics import (
    Interval,
    detectable_effect,
    equivalence,
    mean_t,
    non_inferiority,
    slope,
    spearman_trend,
)
from medtl_core.evidence.case_resampling import CaseIntervals
from medtl_core.evidence.pairing import Effects, paired_effects, select, strata
from medtl_core.evidence.register import Rule, Trend

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le, "<": operator.lt, ">=": operator.ge, ">": operator.gt, "==": operator.eq,
}  # fmt: skip


@dataclass(frozen=True)
class Estimate:
    """What one data set and stratum say about a rule.

    `interval` (95 %) is None below two seeds; `seeds` are paired and complete, `excluded` were not; `p_for`
    and `p_against` are the p values for what the rule says and for its opposite, unadjusted; `detectable` is
    the effect found with power .8; `synthetic` says that the images are made up. Deterministic rules set
    `met` and `extremes` (worst, least, greatest value) instead, and count values in `seeds`.
    """

    dataset: str
    stratum: dict[str, Any]
    interval: Interval | None
    seeds: int
    excluded: int
    p_for: float | None = None
    p_against: float | None = None
    detectable: float | None = None
    met: bool | None = None
    extremes: tuple[float, float, float] | None = None
    note: str = ""
    synthetic: bool = False


def measure(rule: Rule, frame: pd.DataFrame, cases: CaseIntervals | None = None) -> list[Estimate]:
    """Estimates of a rule from the records of its study (the tidy table of `records.to_frame`).

    `cases` is asked for the interval of a rule with `resample_cases`. MedtlError where the rule names a
    factor that the study did not record.
    """
    chosen = select(rule, frame)
    if chosen.empty:
        return []
    return [
        replace(
            _check(rule, name, stratum, part)
            if rule.kind == "deterministic"
            else _estimate(rule, name, stratum, part, cases),
            synthetic=bool(part["synthetic"].any()),
        )
        for name, stratum, part in strata(rule, chosen)
    ]


def measure_overall(rule: Rule, frame: pd.DataFrame) -> dict[str, Estimate]:
    """One summary per data set, strata averaged within each seed; it informs and is never judged."""
    flat = rule.model_copy(update={"by": [], "resample_cases": False})
    return {estimate.dataset: estimate for estimate in measure(flat, frame)}


def _estimate(
    rule: Rule, name: str, stratum: dict[str, Any], part: pd.DataFrame, cases: CaseIntervals | None
) -> Estimate:
    effects = paired_effects(rule, part)
    seeds, excluded = len(effects.seeds), effects.excluded
    if seeds < 2:
        return Estimate(name, stratum, None, seeds, excluded)
    interval, note = _interval(rule, effects, cases)
    if interval is None:
        return Estimate(name, stratum, None, seeds, excluded, note=note)
    if rule.kind == "heterogeneity":  # tested over all data sets at once, see between.py
        return Estimate(name, stratum, interval, seeds, excluded, note=note)
    p_for, p_against = _p_values(rule, interval)
    spread = interval.standard_error * interval.n**0.5
    detectable = _detectable_ratio(interval.n) * spread
    return Estimate(name, stratum, interval, seeds, excluded, p_for, p_against, detectable, note=note)


def _interval(rule: Rule, effects: Effects, cases: CaseIntervals | None) -> tuple[Interval | None, str]:
    """The interval that the rule asks for, and a remark where it asks for more than there is."""
    if rule.trend is not None:
        return _trend(rule.trend, effects)
    note = ""
    if rule.resample_cases and cases is not None:
        if len(effects.columns) == 1:
            arms = (rule.treatment or "", rule.control or "")
            keys = [[effects.keys[arm][seed, effects.columns[0]] for seed in effects.seeds] for arm in arms]
            interval, note = cases.interval(rule.metric, *keys)
            if interval is not None:
                return interval, note
        else:
            note = "test cases not resampled: several levels of a factor are averaged"
    return mean_t(effects.values.mean(axis=1)), note


def _trend(trend: Trend, effects: Effects) -> tuple[Interval | None, str]:
    levels = sorted({level for level, _ in effects.columns})
    least = 2 if trend.statistic == "slope" else 3
    if len(levels) < least:
        found = ", ".join(str(level) for level in levels)
        return None, f"measured at {trend.factor} = {found} alone, at least {least} levels needed"
    if not all(isinstance(level, int | float | np.number) for level in levels):
        raise MedtlError(f"trend along {trend.factor}: levels {levels} are no numbers, expected numbers")
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


@cache
def _detectable_ratio(seeds: int) -> float:
    return detectable_effect(1.0, seeds)


def _p_values(rule: Rule, interval: Interval) -> tuple[float, float]:
    """p values of what the rule says and of its opposite."""
    if rule.kind in ("superiority", "existence", "trend", "interaction"):
        return interval.p_value, interval.p_value
    assert rule.margin is not None
    if rule.kind == "non_inferiority":
        p_for = non_inferiority(interval, rule.margin, rule.direction)[0]
        return p_for, 1.0 - p_for
    beyond = abs(interval.estimate) - rule.margin
    if interval.standard_error == 0.0:
        outside = float(beyond <= 0.0)
    else:
        outside = min(
            1.0, 2 * float(stats.t.sf(beyond / interval.standard_error, interval.degrees_of_freedom))
        )
    return equivalence(interval, rule.margin)[0], outside


def _check(rule: Rule, name: str, stratum: dict[str, Any], part: pd.DataFrame) -> Estimate:
    """Whether every value (or every paired difference) meets the tolerance, and the worst of them."""
    assert rule.tolerance is not None
    found = part["value"].to_numpy()
    if rule.control is not None:
        found = paired_effects(rule, part).values.ravel()
    if not len(found):
        return Estimate(name, stratum, None, 0, 0, note="no pair of both arms")
    op, bound = rule.tolerance.op, rule.tolerance.value
    badness = {"<": found, "<=": found, ">": -found, ">=": -found, "==": np.abs(found - bound)}[op]
    worst = float(found[badness.argmax()])
    extremes = (worst, float(found.min()), float(found.max()))
    met = all(OPERATORS[op](float(value), bound) for value in found)
    return Estimate(name, stratum, None, len(found), 0, met=met, extremes=extremes)
