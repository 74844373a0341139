"""Whether generated images are copies: the nearest training image, and whose it is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist

from medtl_core.errors import MedtlError
from medtl_core.gans.quality.sample_distance import feature_sets

COPY_QUANTILE = 0.01


@dataclass(frozen=True)
class NearestTraining:
    """For each of M generated images: position of the nearest training image, its distance and its group.

    `copies` (M,) says which lie nearer than `threshold`, the 1 % quantile of held-out real images: among
    those, one in a hundred does.
    """

    index: NDArray[np.intp]
    distance: NDArray[np.float64]
    group: NDArray[np.generic]
    threshold: float
    copies: NDArray[np.bool_]

    @property
    def copied_share(self) -> float:
        """Share of generated images that are copies; .01 would be no more than held-out real ones."""
        return float(self.copies.mean())


def nearest_training(
    generated: ArrayLike, training: ArrayLike, groups: ArrayLike, held_out: ArrayLike
) -> NearestTraining:
    """Nearest training image of each generated one, by Euclidean distance of features or of flat pixels.

    generated (M, d), training (N, d), groups (N,): the patient of each training image; held_out (L, d): real
    images of other patients, which tell how near an image comes by chance. MedtlError for features that do
    not fit and another number of groups.
    """
    made, seen = feature_sets(generated, training, least=1)
    unseen, _ = feature_sets(held_out, seen, least=1)
    group = np.asarray(groups)
    if group.shape != (len(seen),):
        raise MedtlError(
            f"nearest training: groups {group.shape}, expected ({len(seen)},), one for each training image"
        )
    distances = cdist(made, seen)
    index = distances.argmin(axis=1)
    nearest = distances[np.arange(len(made)), index]
    threshold = float(np.quantile(cdist(unseen, seen).min(axis=1), COPY_QUANTILE))
    return NearestTraining(index, nearest, group[index], threshold, nearest < threshold)
