"""Do the domains differ at all? Asked before anything is aligned (Li et al. 2018, as we read it)."""

import numpy as np
from numpy.typing import NDArray

from medtl_core.evaluation.discrepancy import TwoSampleTest, mmd_test

Array = NDArray[np.float64]
LEVEL = 0.05


def domains_differ(
    source: Array, target: Array, *, seed: int, permutations: int = 199
) -> tuple[bool, TwoSampleTest]:
    """Whether a permutation test of the MMD rejects one distribution at level .05, and the test.

    Li et al. 2018 analyse the heterogeneity of two hospitals' images before they align subspaces; their
    abstract does not name the test. source (n, d), target (m, d); errors as `mmd_test`.
    """
    test = mmd_test(source, target, permutations=permutations, seed=seed)
    return test.p_value <= LEVEL, test
