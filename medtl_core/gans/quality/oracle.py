"""Whether a classifier sees in generated images the class that was asked for."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import accuracy_score, recall_score

from medtl_core.evaluation.scores import checked_probabilities


@dataclass(frozen=True)
class OracleAgreement:
    """Shares of images in which the oracle's likeliest class is the intended one, overall and by class (K,).

    `real_overall` and `real_by_class` are the same for real images and their labels, what the oracle can do
    at best; a class that is not there is NaN.
    """

    overall: float
    by_class: NDArray[np.float64]
    real_overall: float
    real_by_class: NDArray[np.float64]


def oracle_agreement(
    intended: ArrayLike, generated_scores: ArrayLike, labels: ArrayLike, real_scores: ArrayLike
) -> OracleAgreement:
    """Agreement of an oracle, a classifier trained on real images alone, with the intended labels.

    intended (M,), generated_scores (M, K): classes asked for and the oracle's probabilities; labels (N,) and
    real_scores (N, K): of held-out real images. Agreement above that on real images is no praise: such images
    are easier than real ones. MedtlError for scores as `checked_probabilities`.
    """
    made = _shares(intended, generated_scores)
    real = _shares(labels, real_scores)
    return OracleAgreement(made[0], made[1], real[0], real[1])


def _shares(labels: ArrayLike, scores: ArrayLike) -> tuple[float, NDArray[np.float64]]:
    wanted, probabilities = checked_probabilities(labels, scores)
    found, classes = probabilities.argmax(axis=1), np.arange(probabilities.shape[1])
    by_class = recall_score(wanted, found, labels=classes, average=None, zero_division=np.nan)
    return float(accuracy_score(wanted, found)), np.asarray(by_class)
