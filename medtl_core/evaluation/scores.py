"""Labels and scores of a test set, checked before any metric sees them."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medtl_core.errors import MedtlError

SUM_TOLERANCE = 1e-5


def checked_labels(y: ArrayLike, n_classes: int) -> NDArray[np.int64]:
    """Labels as int64 (N,); MedtlError unless they are whole numbers in [0, n_classes)."""
    labels = np.asarray(y)
    if labels.ndim != 1 or labels.size == 0:
        raise MedtlError(
            f"labels: shape {labels.shape} found, expected (N,) with N >= 1; pass one label a case"
        )
    if labels.dtype.kind not in "iub":
        raise MedtlError(
            f"labels: dtype {labels.dtype} found, expected integers; pass the index of each class"
        )
    outside = np.flatnonzero((labels < 0) | (labels >= n_classes))
    if outside.size:
        raise MedtlError(
            f"labels: {labels[outside[0]]} found at case {outside[0]}, expected 0 to {n_classes - 1}; "
            f"give scores for every class or correct the label"
        )
    return labels.astype(np.int64)


def checked_probabilities(y: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Labels (N,) and class probabilities (N, K), K >= 2.

    `scores` is (N, K) with rows that sum to 1, or (N,) with the probability of class 1. MedtlError for other
    shapes, lengths that differ, values that are not finite or outside [0, 1], rows that do not sum to 1, and
    labels out of range.
    """
    probabilities = np.asarray(scores, dtype=np.float64)
    if probabilities.ndim == 1:
        probabilities = np.stack([1.0 - probabilities, probabilities], axis=1)
    if probabilities.ndim != 2 or probabilities.shape[1] < 2:
        raise MedtlError(
            f"scores: shape {np.shape(scores)} found, expected (N,) or (N, K) with K >= 2; "
            f"pass one row of class probabilities a case"
        )
    labels = checked_labels(y, probabilities.shape[1])
    if len(labels) != len(probabilities):
        raise MedtlError(
            f"scores: {len(probabilities)} cases found for {len(labels)} labels, expected equal lengths; "
            f"concatenate the scores of all batches"
        )
    broken = np.flatnonzero(~np.isfinite(probabilities).all(axis=1))
    if broken.size:
        raise MedtlError(
            f"scores: NaN or infinity found at case {broken[0]}, expected finite probabilities; "
            f"look for a diverged training"
        )
    outside = np.flatnonzero(
        ((probabilities < -SUM_TOLERANCE) | (probabilities > 1 + SUM_TOLERANCE)).any(axis=1)
    )
    if outside.size:
        raise MedtlError(
            f"scores: a value outside [0, 1] found at case {outside[0]}, expected probabilities; "
            f"apply soft-max to logits first"
        )
    total = probabilities.sum(axis=1)
    unequal = np.flatnonzero(np.abs(total - 1.0) > SUM_TOLERANCE)
    if unequal.size:
        raise MedtlError(
            f"scores: a sum of {total[unequal[0]]:.6g} found at case {unequal[0]}, expected 1; "
            f"apply soft-max to logits first"
        )
    return labels, probabilities


def require_every_class(labels: NDArray[np.int64], n_classes: int, metric: str) -> None:
    """MedtlError unless each of the `n_classes` classes has a case: without one, `metric` is undefined."""
    counts = np.bincount(labels, minlength=n_classes)
    absent = np.flatnonzero(counts == 0)
    if absent.size:
        raise MedtlError(
            f"labels: no case of class {absent[0]} among {len(labels)} cases, expected every one of "
            f"{n_classes} classes because {metric} is undefined without it; use a stratified test set"
        )
