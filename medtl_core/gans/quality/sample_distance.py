"""Distances of two sets of features: kernel inception distance and Fréchet distance."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medtl_core.errors import MedtlError

Floats = NDArray[np.float64]


def kernel_distance(x: ArrayLike, y: ArrayLike) -> float:
    """Unbiased squared MMD of features (n, d) and (m, d), kernel (a . b / d + 1)^3: KID.

    Bińkowski et al. 2018, section 4. Its expectation is 0 for equal distributions whatever n, so that it can
    come out below 0. MedtlError for fewer than two cases, different d, and values that are not finite.
    """
    first, second = feature_sets(x, y)
    within = [_mean_of_others(_kernel(one, one)) for one in (first, second)]
    return float(within[0] + within[1] - 2 * _kernel(first, second).mean())


def frechet_distance(x: ArrayLike, y: ArrayLike) -> float:
    """|mean difference|^2 + trace(S + T - 2 (S T)^(1/2)) of features (n, d) and (m, d): FID.

    Heusel et al. 2017, equation 6; S, T: covariances with n - 1. It is too high for few cases, the more so
    the fewer: compare it only with a value for as many. The trace of the root is the sum of the singular
    values of R Q^T, for roots R^T R = S and Q^T Q = T; it needs no root of a matrix that is not symmetric.
    Errors as `kernel_distance`.
    """
    first, second = feature_sets(x, y)
    roots = [_covariance_root(one) for one in (first, second)]
    means = first.mean(0) - second.mean(0)
    traces = sum(float((root**2).sum()) for root in roots)
    shared = float(np.linalg.svd(roots[0] @ roots[1].T, compute_uv=False).sum())
    return float(means @ means) + traces - 2 * shared


def feature_sets(x: ArrayLike, y: ArrayLike, least: int = 2) -> tuple[Floats, Floats]:
    """Both as float64; MedtlError unless they are finite, (n, d) and (m, d), n and m at least `least`."""
    first, second = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    fits = first.ndim == second.ndim == 2 and first.shape[1:] == second.shape[1:]
    if not fits or min(len(first), len(second)) < least:
        raise MedtlError(
            f"features: found shapes {first.shape} and {second.shape}, expected (n, d) and (m, d), "
            f"at least {least} cases each"
        )
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise MedtlError("features: NaN or infinity found, expected finite values")
    return first, second


def _kernel(x: Floats, y: Floats) -> Floats:
    kernel: Floats = (x @ y.T / x.shape[1] + 1) ** 3
    return kernel


def _mean_of_others(kernel: Floats) -> float:
    """Mean over pairs of two different cases."""
    n = len(kernel)
    return float((kernel.sum() - np.trace(kernel)) / (n * (n - 1)))


def _covariance_root(x: Floats) -> Floats:
    """R with R^T R = the covariance; the triangular factor where there are more cases than features."""
    centred = (x - x.mean(0)) / np.sqrt(len(x) - 1)
    return np.asarray(np.linalg.qr(centred, mode="r")) if len(x) > x.shape[1] else centred
