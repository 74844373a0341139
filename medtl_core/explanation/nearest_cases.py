"""Explanation by example: the training cases that the network sees as most alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.neighbors import NearestNeighbors

from medtl_core.errors import MedtlError


@dataclass(frozen=True)
class Prototypes:
    """index: int64 (N, k) into the training cases, nearest first; distance: float64 (N, k), Euclidean."""

    index: np.ndarray
    distance: np.ndarray


def prototypes(features: np.ndarray, training: np.ndarray, *, k: int = 3) -> Prototypes:
    """The `k` nearest training cases of each case, in the features that the head receives.

    features: (N, D) of the cases to be explained; training: (M, D) of the training cases. Raises MedtlError
    for other shapes and k out of range.
    """
    if features.ndim != 2 or training.ndim != 2 or features.shape[1] != training.shape[1]:
        raise MedtlError(
            f"prototypes: features {features.shape}, training {training.shape}; expected (N, D), (M, D)"
        )
    if not 1 <= k <= len(training):
        raise MedtlError(f"prototypes: k is {k}, expected 1 to {len(training)}, the training cases")
    distance, index = NearestNeighbors(n_neighbors=k).fit(training).kneighbors(features)
    return Prototypes(index.astype(np.int64), distance)
