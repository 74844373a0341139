"""Transfer component analysis (Pan et al. 2011): components of much variance in which the means agree."""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from sklearn.metrics.pairwise import rbf_kernel

from medtl_core.adaptation.subspace.common_space import CommonSpace, check_components
from medtl_core.errors import MedtlError
from medtl_core.evaluation.discrepancy import median_bandwidth

Array = NDArray[np.float64]


def transfer_components(
    source: Array, target: Array, *, components: int, penalty: float = 0.1, bandwidth: float | None = None
) -> CommonSpace:
    """Source (n, d) and target (m, d) -> K W, (n, q) and (m, q), K the RBF kernel to all n + m cases.

    W holds the leading solutions of K H K w = v (K L K + penalty I) w: variance (H centres) against the
    distance of the domains' means, L = e e' with e 1/n on the source and -1/m on the target (Pan et al. 2011,
    unsupervised form). bandwidth None: the median distance. Time grows with (n + m)^3. Raises MedtlError as
    `check_components` and for a penalty not above 0.
    """
    check_components(components, source, target)
    if not penalty > 0:
        raise MedtlError(f"tca: found penalty {penalty}, expected above 0")
    gamma = 1 / (2 * (median_bandwidth(source, target) if bandwidth is None else bandwidth) ** 2)
    cases = np.concatenate([source, target])
    kernel = rbf_kernel(cases, gamma=gamma)
    vectors = component_vectors(kernel, len(source), components, penalty)
    return CommonSpace(
        kernel[: len(source)] @ vectors, lambda x: np.asarray(rbf_kernel(x, cases, gamma=gamma) @ vectors)
    )


def component_vectors(kernel: Array, source_cases: int, components: int, penalty: float) -> Array:
    """W (n + m, q) for a kernel (n + m, n + m) of the source's n cases, then the target's.

    W' (K L K + penalty I) W = I; a column's largest entry is positive.
    """
    total, n = len(kernel), source_cases
    centred = kernel - kernel.mean(axis=0)
    variance = kernel @ centred
    apart = kernel @ np.where(np.arange(total) < n, 1 / n, -1 / (total - n))
    _, vectors = eigh(
        (variance + variance.T) / 2,
        np.outer(apart, apart) + penalty * np.eye(total),
        subset_by_index=(total - components, total - 1),
    )
    leading = vectors[:, ::-1]
    largest = np.abs(leading).argmax(axis=0)
    return np.asarray(leading * np.sign(leading[largest, np.arange(components)]))
