"""Source and target as the methods get them: checked, in an order of their own, in few dimensions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.decomposition import PCA

from medtl_core.errors import MedtlError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Domains:
    """Labelled source (n, d), unlabelled target (m, d), float64.

    `codes` (n,) are positions in `classes` (K,). The rows of both are sorted by value, so that no result
    depends on the order in which they came; row i of the source is row `rows[i]` of what was given.
    """

    source: Array
    codes: NDArray[np.int64]
    classes: NDArray[np.generic]
    target: Array
    rows: NDArray[np.int64]


@dataclass(frozen=True)
class Reduction:
    """Features centred, projected on principal axes and brought to mean variance 1: all as in the source.

    One factor scales all features. With one a feature, those of ReLU networks that hardly ever fire in the
    source would have the largest variance in the target.
    """

    mean: Array
    axes: Array | None
    scale: float

    @classmethod
    def of(cls, source: Array, dimensions: int) -> "Reduction":
        """To `dimensions` where source (n, d) has more; MedtlError where n does not allow that many."""
        n, width = source.shape
        if dimensions < 1 or (width > dimensions >= n):
            raise MedtlError(
                f"adapt: {dimensions} dimensions from {n} source cases, expected 1 to {n - 1}; take fewer"
            )
        mean, axes = source.mean(axis=0), None
        reduced = source - mean
        if width > dimensions:
            axes = PCA(dimensions, svd_solver="full").fit(source).components_.T
            reduced = reduced @ axes
        return cls(mean, axes, float(np.sqrt(reduced.var(axis=0).mean())))

    def __call__(self, features: Array) -> Array:
        """Features (k, d) in the reduced space (k, p)."""
        centred = (features - self.mean) / self.scale
        return np.asarray(centred if self.axes is None else centred @ self.axes)


def checked_domains(source: ArrayLike, labels: ArrayLike, target: ArrayLike) -> Domains:
    """The two domains of `adapt`; MedtlError for what cannot be adapted, in one line."""
    x, y, z = np.asarray(source, np.float64), np.asarray(labels), np.asarray(target, np.float64)
    if x.ndim != 2 or z.ndim != 2 or x.shape[1] != z.shape[1] or x.shape[1] == 0:
        raise MedtlError(
            f"adapt: features of shape {x.shape} and {z.shape}, expected (n, d) and (m, d) of one d"
        )
    if min(len(x), len(z)) < 2:
        raise MedtlError(
            f"adapt: {len(x)} source and {len(z)} target cases, expected two domains of at least 2 each"
        )
    if x.shape == z.shape and np.array_equal(x, z):
        raise MedtlError("adapt: source and target hold the same features; expected two domains")
    if not (np.isfinite(x).all() and np.isfinite(z).all()):
        raise MedtlError("adapt: NaN or infinity in the features, expected finite numbers")
    if y.shape != (len(x),):
        raise MedtlError(f"adapt: labels of shape {y.shape} for {len(x)} source cases, expected ({len(x)},)")
    if np.ptp(x, axis=0).max() == 0:
        raise MedtlError("adapt: all source cases have the same features; expected cases that differ")
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise MedtlError(f"adapt: source labels of one class, {classes[0]}, expected at least 2")
    rows = np.lexsort(np.column_stack([codes, x[:, ::-1]]).T)
    return Domains(x[rows], codes[rows], classes, z[np.lexsort(z[:, ::-1].T)], rows)


def domain_indices(
    domains: ArrayLike, source: str, target: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the source and of the target in `domains` (N,), an archive's names of sites or scanners.

    MedtlError where either has no case, both are one, or there is only one domain.
    """
    names = np.asarray(domains).astype(str)
    present = sorted(set(names.tolist()))
    if len(present) < 2:
        raise MedtlError(f"domains: only {present or 'none'} found, expected at least 2 to adapt between")
    if source == target or not {source, target} <= set(present):
        raise MedtlError(
            f"domains: source {source!r} and target {target!r}, expected two of {', '.join(present)}"
        )
    return np.flatnonzero(names == source), np.flatnonzero(names == target)


def shared_classes(source: Sequence[str], target: Sequence[str]) -> list[str]:
    """Names of classes that both domains have, in the source's order; MedtlError where fewer than 2.

    Only names of classes are compared, never labels of target cases.
    """
    shared = [name for name in source if name in set(target)]
    if len(shared) < 2:
        raise MedtlError(
            f"classes: source {', '.join(source)} and target {', '.join(target)} share {len(shared)}, "
            "expected at least 2; give both the same names"
        )
    return shared
