"""Squared maximum mean discrepancy with a linear kernel and with several Gaussian ones, without bias.

One Gaussian kernel and its permutation test, and the proxy A-distance, are in `evaluation.discrepancy`.
"""

import numpy as np
from numpy.typing import ArrayLike

from medtl_core.errors import MedtlError
from medtl_core.evaluation.discrepancy import median_bandwidth, mmd2

# Powers of two by which the squared median distance is multiplied (Long et al. 2015).
WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)


def linear_mmd2(x: ArrayLike, y: ArrayLike) -> float:
    """Unbiased squared distance of the means of x (n, d) and y (m, d): MMD^2 with k(a, b) = a.b.

    It sees a shift of means alone, in the squared units of the features; 0 in expectation for equal means,
    so it can come out below 0. MedtlError for fewer than two cases a side, different d and values that are
    not finite.
    """
    first, second = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    fits = first.ndim == second.ndim == 2 and first.shape[1:] == second.shape[1:]
    if not fits or min(len(first), len(second)) < 2:
        raise MedtlError(
            f"linear_mmd2: found shapes {first.shape} and {second.shape}, expected (n, d) and (m, d), at "
            "least 2 cases each"
        )
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise MedtlError("linear_mmd2: NaN or infinity found, expected finite features")
    between = first.mean(0) - second.mean(0)
    noise = first.var(0, ddof=1) / len(first) + second.var(0, ddof=1) / len(second)
    return float(between @ between - noise.sum())


def multi_kernel_mmd2(x: ArrayLike, y: ArrayLike) -> float:
    """Unbiased MMD^2 of x (n, d) and y (m, d), mean over Gaussian kernels of five widths (Long et al. 2015).

    k_u(a, b) = exp(-|a - b|^2 / (2 u s^2)) for u in `WIDTHS`, with s the median distance of any two cases:
    the quantity that DAN lowers. Errors as `evaluation.discrepancy.mmd2`.
    """
    median = median_bandwidth(x, y)
    return float(np.mean([mmd2(x, y, median * u**0.5) for u in WIDTHS]))
