"""Precision and recall of generated images (Kynkäänniemi et al. 2019)."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist

from medtl_core.gans.quality.sample_distance import feature_sets


def precision_recall(real: ArrayLike, generated: ArrayLike, k: int = 3) -> tuple[float, float]:
    """Shares of generated images that lie among real ones, and of real ones that lie among generated ones.

    Features (n, d) and (m, d). A set covers the balls around its members, each as far as its `k`-th nearest
    neighbour in the set (equations 1 and 2). Precision falls with images that are not real, recall with kinds
    of images that are missing. MedtlError for k or fewer cases, or features that do not fit.
    """
    first, second = feature_sets(real, generated, least=k + 1)
    return _covered(first, second, k), _covered(second, first, k)


def _covered(members: NDArray[np.float64], others: NDArray[np.float64], k: int) -> float:
    # A member is its own nearest neighbour, at position 0.
    radius = np.partition(cdist(members, members), k, axis=1)[:, k]
    return float((cdist(others, members) <= radius).any(axis=1).mean())
