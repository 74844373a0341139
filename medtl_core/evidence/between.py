"""Rules about all data sets at once: does something differ more between them than between seeds of one?"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from medtl_core.evidence.decision import LEVEL, Verdict
from medtl_core.evidence.pairing import paired_effects, select, strata
from medtl_core.evidence.register import Rule

PERMUTATIONS = 9999
RANDOM_STATE = 0


def differ(rule: Rule, frame: pd.DataFrame, eligible: list[str]) -> tuple[Verdict, str]:
    """Verdict and reason of a rule of kind `heterogeneity`, from the data sets that count.

    Each data set needs the rule's minimum of seeds. A p value above .05 leaves the rule inconclusive: equal
    values on these data sets would not show that they are equal on all.
    """
    groups: dict[str, NDArray[np.float64]] = {}
    for name, _, part in strata(rule, select(rule, frame)):
        values = paired_effects(rule, part).values.mean(axis=1)
        if name in eligible and len(values) >= rule.min_seeds:
            groups[name] = values
    if len(groups) < 2:
        return "inconclusive", f"{len(groups)} data sets with at least {rule.min_seeds} seeds, 2 needed"
    p_value = permutation_p(list(groups.values()))
    means = ", ".join(f"{name} {values.mean():.3g}" for name, values in groups.items())
    reason = f"means {means}; permutation test over data sets, p = {p_value:.2g}"
    return ("supported" if p_value <= LEVEL else "inconclusive"), reason


def permutation_p(groups: list[NDArray[np.float64]]) -> float:
    """p value of equal distributions: the share of permutations whose spread of means is at least as large.

    The statistic is the between-group sum of squares; all values are dealt anew to groups of the same sizes.
    The found arrangement counts as one of the permutations, so that p is never 0.
    """

    def between(*parts: NDArray[np.float64]) -> float:
        grand = np.concatenate(parts).mean()
        # rounded, so that arrangements with equal means are not told apart by the order of summation
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
