"""uLSIF (Kanamori, Hido & Sugiyama 2009): the density ratio by unconstrained least squares."""

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics.pairwise import rbf_kernel

from medtl_core.adaptation.weighting.kernel_widths import centres_and_widths
from medtl_core.errors import MedtlError

Array = NDArray[np.float64]
PENALTIES = (1e-3, 1e-2, 1e-1, 1.0)


def ulsif_weights(
    source: Array,
    target: Array,
    *,
    seed: int,
    centres: int = 100,
    widths: tuple[float, ...] | None = None,
    penalties: tuple[float, ...] = PENALTIES,
) -> Array:
    """Weights (n,) >= 0, mean 1, of source (n, d): w(x) = sum_l a_l k(x, c_l), c_l of the target (m, d).

    a = (H + penalty I)^-1 h, below 0 set to 0; H is the source's mean of k k', h the target's of k. Width
    and penalty have the least leave-one-out error (`leave_one_out_error`); `seed` draws the centres and the
    pairs. Raises MedtlError where all coefficients come out at 0 or fewer than 2 cases are on a side.
    """
    rng = np.random.default_rng(seed)
    middle, grid = centres_and_widths(source, target, centres, widths, rng)
    paired = min(len(source), len(target))
    if paired < 2:
        raise MedtlError(f"ulsif: {len(source)} and {len(target)} cases, expected at least 2 a domain")
    first, second = rng.permutation(len(source)), rng.permutation(len(target))
    best: tuple[float, Array] | None = None
    for width in grid:
        to_source = rbf_kernel(source, middle, gamma=1 / (2 * width**2))
        to_target = rbf_kernel(target, middle, gamma=1 / (2 * width**2))
        for penalty in penalties:
            error = leave_one_out_error(to_source[first], to_target[second], penalty)
            if best is None or error < best[0]:
                best = error, to_source @ ratio_coefficients(to_source, to_target, penalty)
    if best is None or not best[1].sum() > 0:
        raise MedtlError("ulsif: every weight came out at 0; reduce the dimensions or widen the kernel")
    return np.asarray(best[1] / best[1].mean())


def ratio_coefficients(to_source: Array, to_target: Array, penalty: float) -> Array:
    """a (b,) = max(0, (H + penalty I)^-1 h) for kernel values (n, b) and (m, b) (Kanamori et al. 2009)."""
    second_moment = to_source.T @ to_source / len(to_source)
    ridge = second_moment + penalty * np.eye(len(second_moment))
    return np.asarray(np.maximum(np.linalg.solve(ridge, to_target.mean(axis=0)), 0))


def leave_one_out_error(to_source: Array, to_target: Array, penalty: float) -> float:
    """Mean of w(s_i)^2 / 2 - w(t_i), w fitted without s_i and t_i, for i up to min(n, m).

    One inverse serves all i, by Sherman and Morrison's formula.
    """
    n, m = len(to_source), len(to_target)
    paired = min(n, m)
    left, right = to_source[:paired], to_target[:paired]
    ridge = to_source.T @ to_source / n + penalty * (n - 1) / n * np.eye(to_source.shape[1])
    inverse = np.linalg.inv(ridge)
    h = (m * to_target.mean(axis=0) - right) / (m - 1)
    by_case, from_h = left @ inverse, h @ inverse
    scale = (from_h * left).sum(axis=1) / (n - (by_case * left).sum(axis=1))
    fitted = np.maximum((n - 1) / n * (from_h + by_case * scale[:, None]), 0)
    of_source, of_target = (fitted * left).sum(axis=1), (fitted * right).sum(axis=1)
    return float((of_source**2 / 2 - of_target).mean())
