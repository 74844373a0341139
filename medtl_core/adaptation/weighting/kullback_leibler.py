"""KLIEP (Sugiyama et al. 2008): the density ratio whose weighted source is nearest to the target in KL."""

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics.pairwise import rbf_kernel

from medtl_core.adaptation.weighting.kernel_widths import centres_and_widths
from medtl_core.errors import MedtlError

Array = NDArray[np.float64]
FOLDS = 5


def kliep_weights(
    source: Array, target: Array, *, seed: int, centres: int = 100, widths: tuple[float, ...] | None = None
) -> Array:
    """Weights (n,) of source (n, d), mean 1: w(x) = sum_l a_l k(x, c_l), c_l of the target (m, d).

    Maximises the mean log w of the target under mean w of the source = 1, a >= 0 (Sugiyama et al. 2008).
    `seed` draws the centres and the folds. The width is that of the largest held-out log w of the target (5
    folds); widths None: the median distance times 1/4 to 2. Raises MedtlError for fewer than 5 target cases
    and where the source lies outside all kernels.
    """
    if len(target) < FOLDS:
        raise MedtlError(f"kliep: {len(target)} target cases, expected at least {FOLDS}, one a fold")
    rng = np.random.default_rng(seed)
    middle, grid = centres_and_widths(source, target, centres, widths, rng)
    fold = rng.permutation(np.arange(len(target)) % FOLDS)
    scores = [_held_out(source, target, middle, width, fold) for width in grid]
    if max(scores) == -np.inf:
        raise MedtlError("kliep: no source case near the target at any width; reduce the dimensions first")
    gamma = 1 / (2 * grid[int(np.argmax(scores))] ** 2)
    to_source = rbf_kernel(source, middle, gamma=gamma)
    shares = mixture_shares(rbf_kernel(target, middle, gamma=gamma), to_source.mean(axis=0))
    weights: Array = to_source @ shares
    return weights


def mixture_shares(
    to_target: Array, source_means: Array, *, tolerance: float = 1e-4, steps: int = 50_000
) -> Array:
    """Coefficients a (b,) >= 0 with b'a = 1 and the largest mean log of A a; A (m, b), b (b,) > 0.

    Scaled by b, a is the shares of a mixture, whose likelihood EM raises at every step. Stops when the
    objective is within `tolerance` of its maximum: the largest slope less 1 bounds the distance.
    """
    scaled = to_target / source_means
    shares = np.full(len(source_means), 1 / len(source_means))
    for _ in range(steps):
        slope = (scaled / (scaled @ shares)[:, None]).mean(axis=0)
        if slope.max() - 1 <= tolerance:
            return np.asarray(shares / source_means)
        shares = shares * slope
    raise MedtlError(f"kliep: not converged in {steps} steps; widen the kernel or take fewer centres")


def _held_out(source: Array, target: Array, middle: Array, width: float, fold: NDArray[np.int64]) -> float:
    """Mean log w of target cases that took no part in the fit; -inf where a density comes out as 0."""
    gamma = 1 / (2 * width**2)
    means = rbf_kernel(source, middle, gamma=gamma).mean(axis=0)
    to_target = rbf_kernel(target, middle, gamma=gamma)
    if means.min() < 1e-12 or to_target.sum(axis=1).min() <= 0:
        return -np.inf
    logs = np.empty(len(target))
    for held in range(FOLDS):
        shares = mixture_shares(to_target[fold != held], means, tolerance=1e-3)
        with np.errstate(divide="ignore"):
            logs[fold == held] = np.log(to_target[fold == held] @ shares)
    return float(logs.mean())
