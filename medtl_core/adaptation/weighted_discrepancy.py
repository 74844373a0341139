"""What of the shift is left: the MMD between a weighted source and the target."""

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics.pairwise import rbf_kernel

from medtl_core.evaluation.discrepancy import median_bandwidth

Array = NDArray[np.float64]


def weighted_mmd2(source: Array, target: Array, weights: Array | None = None) -> float:
    """Squared MMD of source (n, d), weighted by (n,), and target (m, d): never below 0 (biased form).

    sum_ij p_i p_j k(s_i, s_j) + mean k(t, t') - 2 sum_i p_i mean_t k(s_i, t) with p = w / sum w and the RBF
    kernel of the median distance; Gretton et al. 2012, eq. 5, for equal weights.
    """
    shares = np.full(len(source), 1 / len(source)) if weights is None else weights / weights.sum()
    gamma = 1 / (2 * median_bandwidth(source, target) ** 2)
    within = shares @ rbf_kernel(source, gamma=gamma) @ shares
    across = shares @ rbf_kernel(source, target, gamma=gamma).mean(axis=1)
    return max(0.0, float(within + rbf_kernel(target, gamma=gamma).mean() - 2 * across))
