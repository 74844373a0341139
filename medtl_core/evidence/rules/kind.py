"""What every kind of rule has: needs, estimate, p values, verdict, words, plot. A kind overrides its own."""

from collections.abc import Sequence
from typing import ClassVar

import pandas as pd

from medtl_core.evaluation.statistics import Interval, mean_t
from medtl_core.evidence.case_resampling import CaseIntervals
from medtl_core.evidence.combine import Verdict, combine
from medtl_core.evidence.pairing import Effects, Stratum, paired_effects
from medtl_core.evidence.rule import Rule
from medtl_core.evidence.rules.estimate import Estimate, detectable

SIGNIFICANCE = 0.05
Decision = tuple[Verdict, str]


class RuleKind:
    """A kind of rule; by itself a paired comparison of seeds whose test and verdict a kind must add.

    `needs` and `refuses` name the optional fields of a rule that a kind cannot do without, or does not read.
    `least_seeds` is the smallest `min_seeds` that a rule of the kind may ask for. `has_interval` says whether
    estimates have intervals over seeds, which a forest plot can show; otherwise they count values.
    """

    name: ClassVar[str]
    needs: ClassVar[frozenset[str]] = frozenset({"treatment", "control", "margin"})
    refuses: ClassVar[frozenset[str]] = frozenset({"trend", "tolerance"})
    least_seeds: ClassVar[int] = 5
    has_interval: ClassVar[bool] = True

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
        interval, note = self.interval(rule, effects, cases)
        tested = self.p_values(rule, interval) if interval is not None else None
        if interval is None or tested is None:
            return Estimate.of(stratum, interval, seeds, excluded, note=note)
        return Estimate.of(
            stratum,
            interval,
            seeds,
            excluded,
            p_for=tested[0],
            p_against=tested[1],
            detectable=detectable(interval),
            note=note,
        )

    def interval(
        self, rule: Rule, effects: Effects, cases: CaseIntervals | None
    ) -> tuple[Interval | None, str]:
        """The interval that the rule asks for, and a remark where it asks for more than there is."""
        note = ""
        if rule.resample_cases and cases is not None:
            if len(effects.columns) == 1:
                arms = (rule.treatment or "", rule.control or "")
                keys = [
                    [effects.keys[arm][seed, effects.columns[0]] for seed in effects.seeds] for arm in arms
                ]
                interval, note = cases.interval(rule.metric, *keys)
                if interval is not None:
                    return interval, note
            else:
                note = "test cases not resampled: several levels of a factor are averaged"
        return mean_t(effects.values.mean(axis=1)), note

    def p_values(self, rule: Rule, interval: Interval) -> tuple[float, float] | None:
        """p values of the hypothesis and of its opposite; None where single strata are not tested."""
        raise NotImplementedError

    def decide(
        self, rule: Rule, estimate: Estimate, p_for: float | None, p_against: float | None
    ) -> Decision:
        """Verdict and reason for one estimate, given its p values adjusted in their family."""
        if estimate.seeds < rule.min_seeds:
            seeds = "1 paired seed" if estimate.seeds == 1 else f"{estimate.seeds} paired seeds"
            return "inconclusive", f"{seeds}, at least {rule.min_seeds} needed"
        if estimate.interval is None or p_for is None or p_against is None:
            return "inconclusive", "no interval"
        return self.decide_interval(rule, estimate.interval, estimate.detectable or 0.0, p_for, p_against)

    def decide_interval(
        self, rule: Rule, interval: Interval, detectable: float, p_for: float, p_against: float
    ) -> Decision:
        """Verdict and reason for an interval over enough seeds; arguments as `decide`."""
        raise NotImplementedError

    def combine(self, rule: Rule, verdicts: Sequence[Verdict]) -> Verdict:
        """One verdict for several strata or data sets."""
        return combine(verdicts, rule.combine)

    def decide_over_datasets(
        self, rule: Rule, frame: pd.DataFrame, eligible: Sequence[str]
    ) -> Decision | None:
        """Verdict and reason from all eligible data sets at once; None where each is judged by itself."""
        return None

    def claim_in_words(self, rule: Rule) -> str:
        """What the rule claims, for the sentence that begins with its kind."""
        raise NotImplementedError

    def axis_in_words(self, rule: Rule) -> str:
        """The axis of a plot: the effect with its metric, and which way the statement points."""
        raise NotImplementedError

    def smallest_difference(self, rule: Rule) -> float | None:
        """The smallest difference of arms that matters, in the metric's unit; None where none is stated."""
        return rule.margin or None

    def plot_band(self, rule: Rule) -> tuple[float, float] | None:
        """The effects that are too small to matter, between 0 and the margin on the stated side."""
        if not rule.margin:
            return None
        return (0.0, rule.margin) if rule.direction == "higher" else (-rule.margin, 0.0)


def compared(rule: Rule, without_arms: str) -> str:
    """The arms of a rule in words: `treatment − control`, the treatment alone, or what stands for all."""
    return f"{rule.treatment} − {rule.control}" if rule.control else rule.treatment or without_arms


def in_stated_direction(rule: Rule, interval: Interval) -> tuple[float, float, float]:
    """Estimate and limits with the sign turned so that positive is what the hypothesis says."""
    if rule.direction == "higher":
        return interval.estimate, interval.low, interval.high
    return -interval.estimate, -interval.high, -interval.low


def not_after_correction(found: str, p_adjusted: float) -> Decision:
    """The interval alone would do, the p value adjusted by Holm does not."""
    return "inconclusive", f"{found}, not after Holm's correction (adjusted p = {p_adjusted:.2g})"


def not_shown(found: str, claim: str, margin: float, detectable: float) -> Decision:
    """Neither inside the margin nor outside: refused if the seeds could have shown it, else left open."""
    if detectable <= margin:
        return "not supported", f"{found}: not shown to be {claim}, although these seeds could have"
    return (
        "inconclusive",
        f"{found}; an effect of {detectable:.2g} could have been detected, too coarse for {margin:g}",
    )
