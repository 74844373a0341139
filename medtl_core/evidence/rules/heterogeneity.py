"""Heterogeneity: an arm's values differ more between data sets than between the seeds of one."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from medtl_core.evaluation.rounding import counted
from medtl_core.evaluation.statistics import Interval
from medtl_core.evidence.conjunction import p_of
from medtl_core.evidence.pairing import paired_effects, select, strata, stratum_name
from medtl_core.evidence.rule import Rule
from medtl_core.evidence.rules.kind import RuleKind, compared
from medtl_core.evidence.words import UNTESTED, PValues

PERMUTATIONS = 9999
RANDOM_STATE = 0


class Heterogeneity(RuleKind):
    """A permutation test over all eligible data sets at once; a single data set decides nothing."""

    name = "heterogeneity"
    needs = frozenset({"treatment"})
    refuses = frozenset({"control", "trend", "tolerance", "margin"})
    has_parts = False

    def p_values(self, rule: Rule, interval: Interval) -> PValues:
        """A data set by itself is not tested."""
        return UNTESTED

    def shows(self, rule: Rule, estimate: float) -> bool:
        """True: a data set by itself shows nothing else."""
        return True

    def detectable(self, rule: Rule, interval: Interval, level: float) -> None:
        """None: no single effect is meant."""
        return None

    def over_datasets(
        self, rule: Rule, frame: pd.DataFrame, archives: Sequence[str]
    ) -> tuple[float, str] | None:
        """p value of the permutation test of equal distributions, 1 for fewer than two data sets.

        Each data set needs the rule's minimum of seeds. Where data sets were measured in several
        configurations, each is a test of its own, and the rule says how they are combined.
        """
        found = [one for one in strata(rule, select(rule, frame)) if one.archive in archives]
        apart = any(stratum.settings for stratum in found)
        tests: dict[str, dict[str, NDArray[np.float64]]] = {}
        for stratum in found:
            values = paired_effects(rule, stratum.records).values.mean(axis=1)
            groups = tests.setdefault(stratum_name(stratum.settings) if apart else "", {})
            if len(values) >= rule.min_seeds:
                groups[stratum.dataset] = values
        results = {name: _test(rule, groups) for name, groups in tests.items()}
        if not results:
            return None
        reasons = [f"{name}: {reason}" if name else reason for name, (_, reason) in results.items()]
        return p_of([p for p, _ in results.values()], rule.combine), "; ".join(reasons)

    def claim_in_words(self, rule: Rule) -> str:
        """`depth of validated differs more between data sets than between seeds`."""
        values = f"{rule.metric} of {compared(rule, 'every arm')}"
        return f"{values} differs more between data sets than between seeds"

    def axis_in_words(self, rule: Rule) -> str:
        """`depth: validated`."""
        return f"{rule.metric}: {compared(rule, 'value')}"


def _test(rule: Rule, groups: dict[str, NDArray[np.float64]]) -> tuple[float, str]:
    if len(groups) < 2:
        return 1.0, f"{counted(len(groups), 'data set')} with at least {rule.min_seeds} seeds, 2 needed"
    p_value = permutation_p(list(groups.values()))
    means = ", ".join(f"{name} {values.mean():.3g}" for name, values in groups.items())
    return p_value, f"means {means}; permutation test over data sets, p = {p_value:.2g}"


def permutation_p(groups: list[NDArray[np.float64]]) -> float:
    """p value of equal distributions: the share of permutations whose spread of means is at least as large.

    The statistic is the between-group sum of squares; a permutation assigns all values to groups of the same
    sizes. The arrangement that was found counts as one of the permutations, so that p is never 0.
    """

    def between(*parts: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
        grand = np.concatenate(parts, axis=axis).mean(axis=axis)
        squares = [part.shape[axis] * (part.mean(axis=axis) - grand) ** 2 for part in parts]
        # rounded, so that the order of summation does not separate arrangements with equal means
        spread: NDArray[np.float64] = np.sum(squares, axis=0).round(12)
        return spread

    result = stats.permutation_test(
        groups,
        between,
        vectorized=True,
        permutation_type="independent",
        alternative="greater",
        n_resamples=PERMUTATIONS,
        rng=np.random.default_rng(RANDOM_STATE),
    )
    return float(result.pvalue)


KIND = Heterogeneity()
