"""The p value of a permutation test, from a statistic and its values under permutation."""

import numpy as np
from numpy.typing import NDArray

ROUND_OFF = 1e-12


def permutation_p(found: float, null: NDArray[np.float64]) -> float:
    """(1 + permuted values at least as large as the one found) / (1 + permutations), so it is never 0.

    null (B,). With the arrangement that was found among the permutations the level is exact (Phipson & Smyth
    2010). It must not fall below itself by round-off when it is met again, hence the slack of 1e-12.
    """
    return float((1 + np.count_nonzero(null >= found - ROUND_OFF)) / (1 + len(null)))
