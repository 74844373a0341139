"""What every kind of rule has: needs, estimate, p values, words, plot. A kind adds its own."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl_core.evaluation.rounding import counted
from medtl_core.evaluation.statistics import Interval, Size, detectable_margin, mean_t, size_needed
from medtl_core.evidence.case_resampling import CaseIntervals, Contrast, Summary
from medtl_core.evidence.conjunction import p_of, p_of_failure
from medtl_core.evidence.pairing import Effects, Stratum, paired_effects
from medtl_core.evidence.rule import Rule
from medtl_core.evidence.rules.estimate import Estimate
from medtl_core.evidence.words import PValues

POWER = 0.8


class RuleKind(ABC):
    """A kind of rule; by itself a paired comparison of seeds whose tests a kind must add.

    `needs` and `refuses` name the optional fields of a rule that a kind cannot do without, or does not read.
    `least_seeds` is the smallest `min_seeds` that a rule of the kind may ask for. `has_interval` says whether
    estimates have intervals over seeds, which a forest plot can show; otherwise they count values.
    `has_parts` says whether each data set is judged by itself too; `one_place_is_enough` that what one shows
    is not undone by the others; `tests` is False where nothing is left to chance. `power` is that of each of
    its tests for which detectable effects are given.
    """

    name: ClassVar[str]
    power: ClassVar[float] = POWER
    needs: ClassVar[frozenset[str]] = frozenset({"treatment", "control", "margin"})
    refuses: ClassVar[frozenset[str]] = frozenset({"trend", "tolerance"})
    least_seeds: ClassVar[int] = 5
    has_interval: ClassVar[bool] = True
    has_parts: ClassVar[bool] = True
    one_place_is_enough: ClassVar[bool] = False
    tests: ClassVar[bool] = True

    def check(self, rule: Rule) -> None:
        """Raise ValueError where a rule lacks a field that the kind needs or has one that it does not use."""
        for field in sorted(self.needs):
            if getattr(rule, field) is None:
                raise ValueError(f"a rule of kind {self.name} needs `{field}`")
        for field in sorted(self.refuses):
            if getattr(rule, field) is not None:
                raise ValueError(f"a rule of kind {self.name} does not use `{field}`: leave it out")
        if rule.min_seeds < self.least_seeds:
            raise ValueError(f"min_seeds is {rule.min_seeds}, expected at least {self.least_seeds}")

    def estimate(self, rule: Rule, stratum: Stratum, cases: CaseIntervals | None) -> Estimate:
        """The estimate of one data set and stratum, with p values before any correction."""
        effects = paired_effects(rule, stratum.records)
        seeds, excluded = len(effects.seeds), effects.excluded
        if seeds < 2:
            return Estimate.of(stratum, None, seeds, excluded)
        summary, note = self.summary(rule, effects)
        if summary is None:
            return Estimate.of(stratum, None, seeds, excluded, note=note)
        over_seeds = mean_t(summary(effects.values))
        over_cases, with_cases = _over_cases(rule, effects, summary, cases)
        intervals = [over_seeds] if over_cases is None else [over_seeds, over_cases]
        tested = [self.p_values(rule, interval) for interval in intervals]
        widest = max(intervals, key=lambda interval: interval.high - interval.low)
        p_values: PValues | None = PValues(*(max(p) for p in zip(*tested, strict=True)))
        if over_seeds.sd == 0.0:
            p_values, note = None, f"all {seeds} seeds agree, which is no test"
        elif seeds < rule.min_seeds:
            p_values, note = None, f"{counted(seeds, 'seed')}, at least {rule.min_seeds} needed"
        return Estimate.of(stratum, widest, seeds, excluded, p_values=p_values, cases=with_cases, note=note)

    def summary(self, rule: Rule, effects: Effects) -> tuple[Summary | None, str]:
        """What makes one number of a seed's effects (..., C) -> (...), or None and why there is none."""
        return _mean_of_columns, ""

    @abstractmethod
    def p_values(self, rule: Rule, interval: Interval) -> PValues:
        """p values of the hypothesis, of its opposite, and of an effect too small to matter.

        1 where the estimate does not reach what the word needs, so that a p value alone decides.
        """

    def shows(self, rule: Rule, estimate: float) -> bool:
        """Whether an estimate, taken as it is, lies where the rule says."""
        sure = Interval(estimate, estimate, estimate, 2, 0.0, 0.0, "", 0.0, 1.0)
        return self.p_values(rule, sure).holds < 0.5

    def detectable(self, rule: Rule, interval: Interval, level: float) -> float | None:
        """The effect that this test at this one-sided level finds with power .8; None where none is meant."""
        return detectable_margin(interval.standard_error, interval.degrees_of_freedom, level, self.power)

    def needed(self, rule: Rule, estimate: Estimate, level: float) -> Size | None:
        """Seeds and test cases with which this test finds the smallest effect of interest with power .8.

        As many show, where there is no effect, that it is smaller than that. None without such an effect or
        an interval, where what was measured was enough, and where no size is.
        """
        distance = self.distance(rule)
        if estimate.interval is None or not distance:
            return None
        if (self.detectable(rule, estimate.interval, level) or 0.0) <= distance:
            return None
        cases = estimate.n_test if estimate.cases else None
        return size_needed(estimate.interval, cases, distance, level, self.power)

    def distance(self, rule: Rule) -> float | None:
        """The smallest effect of interest, from the null hypothesis on; None where none is stated."""
        return rule.margin or None

    def over_places(self, rule: Rule, places: Sequence[PValues]) -> PValues:
        """p values over several strata or data sets, as the rule combines them."""
        holds, opposite, smaller = zip(*places, strict=True)
        how = rule.combine
        return PValues(p_of(holds, how), p_of_failure(opposite, how), p_of_failure(smaller, how))

    def over_datasets(
        self, rule: Rule, frame: pd.DataFrame, archives: Sequence[str]
    ) -> tuple[float, str] | None:
        """p value and its words from all data sets at once; None where each is judged by itself."""
        return None

    @abstractmethod
    def claim_in_words(self, rule: Rule) -> str:
        """What the rule claims, for the sentence that begins with its kind."""

    @abstractmethod
    def axis_in_words(self, rule: Rule) -> str:
        """The axis of a plot: the effect with its metric, and which way the statement points."""

    def smallest_difference(self, rule: Rule) -> float | None:
        """The smallest difference of arms that matters, in the metric's unit; None where none is stated."""
        return rule.margin or None

    def plot_band(self, rule: Rule) -> tuple[float, float] | None:
        """The effects that are too small to matter, between 0 and the margin on the stated side."""
        if not rule.margin:
            return None
        return (0.0, rule.margin) if rule.direction == "higher" else (-rule.margin, 0.0)


def _mean_of_columns(effects: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(effects.mean(axis=-1))


def _over_cases(
    rule: Rule, effects: Effects, summary: Summary, cases: CaseIntervals | None
) -> tuple[Interval | None, bool | None]:
    """The interval over seeds and cases, and whether there is one (None: the metric has no cases)."""
    if cases is None or not cases.resamples(rule.metric):
        return None, None
    arms = [arm for arm in (rule.treatment, rule.control) if arm is not None]
    keys = [
        [[effects.keys[arm][seed, column] for seed in effects.seeds] for column in effects.columns]
        for arm in arms
    ]
    interval = cases.interval(Contrast(rule.metric, keys, summary, effects.values))
    return interval, interval is not None


def compared(rule: Rule, without_arms: str) -> str:
    """The arms of a rule in words: `treatment − control`, the treatment alone, or what stands for all."""
    return f"{rule.treatment} − {rule.control}" if rule.control else rule.treatment or without_arms
