"""Metrics of many resamples of one test set at once."""

import numpy as np
from numpy.typing import NDArray

from medtl_core.evaluation.calibration import bin_of


def weighted_auroc(
    labels: NDArray[np.int64], probabilities: NDArray[np.float64], weights: NDArray[np.int64]
) -> NDArray[np.float64]:
    """AUROC (B,) of B weightings of the cases: macro one-vs-rest, or class 1 of two; ties count half.

    `labels` (N,), `probabilities` (N, K), `weights` (N, B): case i counts weights[i, b] times in resample b.
    Each resample must hold every class. Equal to `metrics.auroc` of the repeated cases; sorting once for all
    resamples makes it some hundred times faster: the area is the weighted share of pairs of a positive and a
    negative case in which the positive one ranks higher (Mann-Whitney).
    """
    n_classes = probabilities.shape[1]
    classes = [1] if n_classes == 2 else list(range(n_classes))
    areas = np.stack([_one_against_rest(labels == k, probabilities[:, k], weights) for k in classes])
    return np.asarray(areas.mean(axis=0))


def weighted_accuracy(
    labels: NDArray[np.int64], probabilities: NDArray[np.float64], weights: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Accuracy (B,) of B weightings of the cases; arguments as `weighted_auroc`."""
    return _weighted_mean(probabilities.argmax(axis=1) == labels, weights)


def weighted_balanced_accuracy(
    labels: NDArray[np.int64], probabilities: NDArray[np.float64], weights: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Mean recall (B,) of B weightings of the cases; arguments as `weighted_auroc`."""
    right = probabilities.argmax(axis=1) == labels
    recalls = [_weighted_mean(right[labels == k], weights[labels == k]) for k in np.unique(labels)]
    return np.asarray(np.mean(recalls, axis=0))


def weighted_brier(
    labels: NDArray[np.int64], probabilities: NDArray[np.float64], weights: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Brier score (B,) of B weightings of the cases, halved for two classes, as `weighted_auroc`."""
    n_classes = probabilities.shape[1]
    squares = np.sum((probabilities - np.eye(n_classes)[labels]) ** 2, axis=1)
    return _weighted_mean(squares / 2 if n_classes == 2 else squares, weights)


def weighted_calibration_error(
    labels: NDArray[np.int64], probabilities: NDArray[np.float64], weights: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Expected calibration error (B,) of B weightings of the cases; arguments as `weighted_auroc`.

    Equal to `calibration.expected_calibration_error` of the repeated cases. A bin's share of the cases times
    its |accuracy - confidence| is the bin's |sum of right - confidence|, divided by the number of all cases.
    """
    confidence = probabilities.max(axis=1)
    excess = (probabilities.argmax(axis=1) == labels) - confidence
    bins = bin_of(confidence)
    gaps = [np.abs(excess[bins == k] @ weights[bins == k]) for k in np.unique(bins)]
    return np.asarray(np.sum(gaps, axis=0) / weights.sum(axis=0))


def _weighted_mean(values: NDArray[np.generic], weights: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(values.astype(np.float64) @ weights / weights.sum(axis=0))


def _one_against_rest(
    positive: NDArray[np.bool_], scores: NDArray[np.float64], weights: NDArray[np.int64]
) -> NDArray[np.float64]:
    rest = np.flatnonzero(~positive)
    rest = rest[np.argsort(scores[rest])]
    lower_ranks = np.zeros((rest.size + 1, weights.shape[1]), dtype=np.int64)
    np.cumsum(weights[rest], axis=0, out=lower_ranks[1:])
    # The mean of the strict and the non-strict count gives tied pairs one half.
    strict = lower_ranks[np.searchsorted(scores[rest], scores[positive], side="left")]
    non_strict = lower_ranks[np.searchsorted(scores[rest], scores[positive], side="right")]
    chosen = weights[positive]
    wins = np.sum(chosen * (strict + non_strict), axis=0) / 2
    return np.asarray(wins / (chosen.sum(axis=0) * lower_ranks[-1]))
