"""Heterogeneity: an arm's values differ more between data sets than between the seeds of one."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from medtl_core.evaluation.statistics import Interval
from medtl_core.evidence.pairing import paired_effects, select, strata, stratum_name
from medtl_core.evidence.rule import Rule
from medtl_core.evidence.rules.estimate import Estimate, describe
from medtl_core.evidence.rules.kind import SIGNIFICANCE, Decision, RuleKind, compared

PERMUTATIONS = 9999
RANDOM_STATE = 0


class Heterogeneity(RuleKind):
    """A permutation test over all eligible data sets at once; a single data set decides nothing."""

    name = "heterogeneity"
    needs = frozenset({"treatment"})
    refuses = frozenset({"control", "trend", "tolerance", "margin"})

    def p_values(self, rule: Rule, interval: Interval) -> None:
        """A data set by itself is not tested."""
        return None

    def decide(
        self, rule: Rule, estimate: Estimate, p_for: float | None, p_against: float | None
    ) -> Decision:
        """A data set by itself is open, whatever its interval."""
        if estimate.interval is not None and estimate.seeds >= rule.min_seeds:
            return "inconclusive", f"{describe(estimate.interval)}; compared with other data sets"
        return super().decide(rule, estimate, p_for, p_against)

    def decide_over_datasets(self, rule: Rule, frame: pd.DataFrame, eligible: Sequence[str]) -> Decision:
        """Supported where the permutation test refuses equal distributions.

        Each data set needs the rule's minimum of seeds. A larger p value leaves the rule inconclusive: equal
        values on these data sets would not show that they are equal on all. Where data sets were measured in
        several configurations, each configuration is a test of its own.
        """
        found = list(strata(rule, select(rule, frame)))
        names = {stratum.configuration: stratum_name(stratum.settings) for stratum in found}
        apart = any(stratum.settings for stratum in found)
        tests: dict[str, dict[str, NDArray[np.float64]]] = {}
        for stratum in found:
            values = paired_effects(rule, stratum.records).values.mean(axis=1)
            groups = tests.setdefault(stratum.configuration if apart else "", {})
            if stratum.dataset in eligible and len(values) >= rule.min_seeds:
                groups[stratum.dataset] = values
        decisions = {text: _decide(rule, groups) for text, groups in tests.items()}
        if not apart:
            return decisions[""]
        verdict = self.combine(rule, [verdict for verdict, _ in decisions.values()])
        reasons = [f"{names[text] or 'alone'}: {reason}" for text, (_, reason) in decisions.items()]
        return verdict, "; ".join(reasons)

    def claim_in_words(self, rule: Rule) -> str:
        """`depth of validated differs more between data sets than between seeds`."""
        values = f"{rule.metric} of {compared(rule, 'every arm')}"
        return f"{values} differs more between data sets than between seeds"

    def axis_in_words(self, rule: Rule) -> str:
        """`depth: validated`."""
        return f"{rule.metric}: {compared(rule, 'value')}"


def _decide(rule: Rule, groups: dict[str, NDArray[np.float64]]) -> Decision:
    if len(groups) < 2:
        return "inconclusive", f"{len(groups)} data sets with at least {rule.min_seeds} seeds, 2 needed"
    p_value = permutation_p(list(groups.values()))
    means = ", ".join(f"{name} {values.mean():.3g}" for name, values in groups.items())
    reason = f"means {means}; permutation test over data sets, p = {p_value:.2g}"
    return ("supported" if p_value <= SIGNIFICANCE else "inconclusive"), reason


def permutation_p(groups: list[NDArray[np.float64]]) -> float:
    """p value of equal distributions: the share of permutations whose spread of means is at least as large.

    The statistic is the between-group sum of squares; a permutation assigns all values to groups of the same
    sizes. The arrangement that was found counts as one of the permutations, so that p is never 0.
    """

    def between(*parts: NDArray[np.float64]) -> float:
        grand = np.concatenate(parts).mean()
        # rounded, so that the order of summation does not separate arrangements with equal means
        return round(float(sum(len(part) * (part.mean() - grand) ** 2 for part in parts)), 12)

    result = stats.permutation_test(
        groups,
        between,
        permutation_type="independent",
        alternative="greater",
        n_resamples=PERMUTATIONS,
        rng=np.random.default_rng(RANDOM_STATE),
    )
    return float(result.pvalue)


KIND = Heterogeneity()
