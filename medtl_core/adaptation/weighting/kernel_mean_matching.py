"""Kernel mean matching (Huang et al. 2006): source weights that match the means of both domains."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from sklearn.metrics.pairwise import rbf_kernel

from medtl_core.errors import MedtlError
from medtl_core.evaluation.discrepancy import median_bandwidth

Array = NDArray[np.float64]


def kmm_weights(
    source: Array,
    target: Array,
    *,
    bandwidth: float | None = None,
    largest: float = 1000.0,
    slack: float | None = None,
    tolerance: float = 1e-4,
) -> Array:
    """Weights (n,) of source (n, d) with which its mean in the kernel's space is that of target (m, d).

    Minimises w'Kw / 2 - k'w with 0 <= w <= `largest` and |sum w - n| <= n `slack` (Huang et al. 2006);
    k_i = n/m sum_j k(s_i, t_j). RBF kernel of the `bandwidth`, None: the median distance. slack None: the
    paper's (sqrt n - 1) / sqrt n. An accelerated projected gradient (FISTA) stops when the duality gap is
    below `tolerance` times the objective. Memory and time of a step grow with n^2.

    Raises MedtlError for a bandwidth that is not above 0, for weights that cannot sum to n, and where the gap
    is not closed in 20,000 steps.
    """
    n = len(source)
    slack = (np.sqrt(n) - 1) / np.sqrt(n) if slack is None else slack
    low, high = n * (1 - slack), n * (1 + slack)
    if largest * n < low or slack < 0:
        raise MedtlError(
            f"kmm: weights of at most {largest} for {n} cases cannot sum to {low:.4g}; raise largest or slack"
        )
    width = median_bandwidth(source, target) if bandwidth is None else bandwidth
    if not width > 0:
        raise MedtlError(f"kmm: bandwidth {width}, expected a number above 0")
    gamma = 1 / (2 * width**2)
    kernel = rbf_kernel(source, gamma=gamma)
    toward = n * rbf_kernel(source, target, gamma=gamma).mean(axis=1)
    return _minimise(kernel, toward, largest, low, high, tolerance)


def _minimise(
    kernel: Array, toward: Array, largest: float, low: float, high: float, tolerance: float
) -> Array:
    step = 1 / float(np.linalg.norm(kernel, 2))
    w = leading = _project(np.ones(len(kernel)), largest, low, high)
    momentum = 1.0
    for taken in range(20_000):
        moved = _project(leading - step * (kernel @ leading - toward), largest, low, high)
        if (leading - moved) @ (moved - w) > 0:  # restart, O'Donoghue & Candes 2015
            momentum = 1.0
        grown = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        leading = moved + (momentum - 1) / grown * (moved - w)
        w, momentum = moved, grown
        if taken % 20 == 0:
            product = kernel @ w
            slope = product - toward
            gap = slope @ (w - _steepest(slope, largest, low, high))
            if gap <= tolerance * abs(product @ w / 2 - toward @ w):
                return w
    raise MedtlError(
        "kmm: not converged in 20000 steps; reduce the dimensions, widen the kernel or lower `largest`"
    )


def _project(w: Array, largest: float, low: float, high: float) -> Array:
    """The nearest point of the box 0 to `largest` whose sum lies between `low` and `high`."""
    clipped: Array = np.clip(w, 0, largest)
    total = clipped.sum()
    if low <= total <= high:
        return clipped
    wanted = min(max(total, low), high)
    ends = (float(w.min() - largest - 1), float(w.max() + 1))
    offset = brentq(lambda t: np.clip(w - t, 0, largest).sum() - wanted, *ends, xtol=1e-12)
    return np.asarray(np.clip(w - offset, 0, largest))


def _steepest(slope: Array, largest: float, low: float, high: float) -> Array:
    """The feasible point with the least product with `slope`: the steepest coordinates are filled first."""
    order = np.argsort(slope, kind="stable")
    filled = np.clip(low - largest * np.arange(len(slope)), 0, largest)
    falling = np.clip(high - largest * np.arange(len(slope)), 0, largest)
    best = np.empty_like(slope)
    best[order] = np.where(slope[order] < 0, falling, filled)
    return best
