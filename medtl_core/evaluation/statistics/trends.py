"""Does a metric rise or fall along a factor? One statistic a seed, then the t-interval over seeds."""

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from medtl_core.errors import MedtlError
from medtl_core.evaluation.statistics.intervals import Interval, mean_t

Scale = Literal["linear", "log2"]


def slope(
    levels: ArrayLike, values: ArrayLike, scale: Scale = "linear", confidence: float = 0.95
) -> Interval:
    """Least-squares slope of values (S, L) over the factor's levels (L,), fitted per seed; mean over seeds.

    Unit: the metric's, per unit of the factor, or per doubling of it with `scale` "log2". For an interaction
    pass the differences between two arms. MedtlError for fewer than two distinct levels, levels not positive
    with "log2", fewer than two seeds, shapes that do not fit and values that are not finite.
    """
    slopes = slope_by_seed(levels, values, scale)
    return replace(mean_t(slopes, confidence), method=f"slope per seed ({scale}), t over seeds")


def slope_by_seed(levels: ArrayLike, values: ArrayLike, scale: Scale = "linear") -> NDArray[np.float64]:
    """Slopes (S,) of the curves (S, L); unit and errors as `slope`."""
    positions, curves = _checked(levels, values, least=2)
    if scale not in ("linear", "log2"):
        raise MedtlError(f"scale: {scale!r} found, expected linear or log2; correct the rule")
    if scale == "log2":
        if positions.min() <= 0:
            raise MedtlError(
                f"levels: {positions.min():g} found, expected positive ones with log2; use linear"
            )
        positions = np.log2(positions)
    centred = positions - positions.mean()
    weights = centred / (centred @ centred)
    # Differences along a flat curve are round-off of its height, not a slope.
    round_off = 1e-12 * np.abs(curves).max(axis=1) * np.abs(weights).sum()
    slopes = curves @ weights
    return np.where(np.abs(slopes) <= round_off, 0.0, slopes)


def spearman_trend(levels: ArrayLike, values: ArrayLike, confidence: float = 0.95) -> Interval:
    """Spearman's rank correlation of values (S, L) with levels (L,), per seed; mean in [-1, 1].

    A curve that is flat in a seed counts 0. At least three levels: the correlation of two is a mere sign, and
    five equal signs come up by chance in 6 % of all studies. Ranks of few levels are coarse: without a trend
    the 95 % interval of 5 seeds excludes 0 in a stated direction in 3.1 % of all studies at three levels (2.5
    % is nominal). Other errors as `slope`.
    """
    interval = mean_t(spearman_by_seed(levels, values), confidence)
    return replace(
        interval,
        low=max(interval.low, -1.0),
        high=min(interval.high, 1.0),
        method="Spearman correlation per seed, t over seeds",
    )


def spearman_by_seed(levels: ArrayLike, values: ArrayLike) -> NDArray[np.float64]:
    """Rank correlations (S,) of the curves (S, L); a flat curve counts 0; errors as `spearman_trend`."""
    positions, curves = _checked(levels, values, least=3)
    ranks = stats.rankdata(positions) - (positions.size + 1) / 2
    curve_ranks = stats.rankdata(curves, axis=1) - (positions.size + 1) / 2
    length = np.sqrt((ranks @ ranks) * np.sum(curve_ranks**2, axis=1))
    flat = np.zeros(len(curves))
    return np.asarray(np.divide(curve_ranks @ ranks, length, out=flat, where=length > 0))


def _checked(
    levels: ArrayLike, values: ArrayLike, least: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    positions, curves = np.asarray(levels, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if positions.ndim != 1 or not np.isfinite(positions).all() or np.unique(positions).size < least:
        raise MedtlError(
            f"levels: {positions.tolist()} found, expected at least {least} distinct finite levels; "
            f"run the study at more levels of the factor"
        )
    if curves.ndim != 2 or curves.shape[1] != positions.size:
        raise MedtlError(
            f"values: shape {curves.shape} found, expected (S, {positions.size}), one row a seed; "
            f"run every seed at every level"
        )
    if not np.isfinite(curves).all():
        raise MedtlError("values: NaN or infinity found, expected finite numbers; look for a failed trial")
    return positions, curves
