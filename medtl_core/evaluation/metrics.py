"""Classification and mask metrics, each computed once over the concatenated scores of a test set.

Averaging a metric over batches gives another number as soon as the last batch is smaller, and AUROC has no
meaning inside a batch at all; so every function takes the whole test set.
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from medtl_core.errors import MedtlError
from medtl_core.evaluation.calibration import expected_calibration_error
from medtl_core.evaluation.scores import checked_probabilities, require_every_class

Direction = Literal["higher", "lower"]

DIRECTION: dict[str, Direction] = {
    "auroc": "higher",
    "auprc": "higher",
    "accuracy": "higher",
    "balanced_accuracy": "higher",
    "recall": "higher",
    "dice": "higher",
    "brier": "lower",
    "ece": "lower",
    "train_auroc": "higher",
    "train_accuracy": "higher",
    "train_loss": "lower",
    "val_auroc": "higher",
    "val_loss": "lower",
    "generalisation_gap": "lower",
    "epochs_to_best": "lower",
    "steps": "lower",
    "failed": "lower",
}
"""Whether a higher or a lower value is better, for the metrics below and for what a training run records."""


def auroc(y: ArrayLike, scores: ArrayLike) -> float:
    """Area under the ROC curve, in [0, 1]; ties count one half.

    `scores` is (N, K) class probabilities or (N,) probabilities of class 1. Two classes: class 1 against
    class 0. More: macro mean over the K one-vs-rest areas (Hand & Till 2001 discuss the alternatives).
    MedtlError for bad input (`checked_probabilities`) and if a class has no case.
    """
    labels, probabilities = checked_probabilities(y, scores)
    require_every_class(labels, probabilities.shape[1], "AUROC")
    return float(roc_auc_score(*_one_against_rest(labels, probabilities)))


def auprc(y: ArrayLike, scores: ArrayLike) -> float:
    """Area under the precision-recall curve as average precision, in [0, 1]; arguments and errors as `auroc`.

    A useless score reaches the prevalence of the class, not one half. More than two classes: macro
    one-vs-rest.
    """
    labels, probabilities = checked_probabilities(y, scores)
    require_every_class(labels, probabilities.shape[1], "AUPRC")
    return float(average_precision_score(*_one_against_rest(labels, probabilities)))


def accuracy(y: ArrayLike, scores: ArrayLike) -> float:
    """Share of cases whose most probable class is the label, in [0, 1]; of tied classes the first counts."""
    labels, probabilities = checked_probabilities(y, scores)
    return float(np.mean(probabilities.argmax(axis=1) == labels))


def balanced_accuracy(y: ArrayLike, scores: ArrayLike) -> float:
    """Mean of the recalls of all classes, in [0, 1]; MedtlError for bad input and if a class has no case."""
    return float(recall_per_class(y, scores).mean())


def recall_per_class(y: ArrayLike, scores: ArrayLike) -> NDArray[np.float64]:
    """Recall of each class, (K,) in [0, 1]; MedtlError for bad input and if a class has no case."""
    labels, probabilities = checked_probabilities(y, scores)
    require_every_class(labels, probabilities.shape[1], "recall")
    # scikit-learn takes a millisecond a call, too long for the bootstrap's tens of thousands.
    return np.bincount(labels, weights=probabilities.argmax(axis=1) == labels) / np.bincount(labels)


def brier(y: ArrayLike, scores: ArrayLike) -> float:
    """Brier score, lower is better (Brier 1950).

    More than two classes: mean over cases of sum_k (p_k - [y = k])^2, in [0, 2]. Two classes: the usual half
    of it, mean (p_1 - y)^2, in [0, 1]. (scikit-learn knows more than two classes only from 1.7 on, hence the
    formula here.)
    """
    labels, probabilities = checked_probabilities(y, scores)
    n_classes = probabilities.shape[1]
    total = np.mean(np.sum((probabilities - np.eye(n_classes)[labels]) ** 2, axis=1))
    return float(total / 2 if n_classes == 2 else total)


def all_metrics(y: ArrayLike, scores: ArrayLike) -> dict[str, float]:
    """auroc, auprc, accuracy, balanced_accuracy, brier and ece of labels (N,) and probabilities (N, K)."""
    return {
        "auroc": auroc(y, scores),
        "auprc": auprc(y, scores),
        "accuracy": accuracy(y, scores),
        "balanced_accuracy": balanced_accuracy(y, scores),
        "brier": brier(y, scores),
        "ece": expected_calibration_error(y, scores),
    }


def dice(mask: ArrayLike, reference: ArrayLike) -> float:
    """Dice overlap 2 |A and B| / (|A| + |B|) of two binary masks of one shape, in [0, 1] (Dice 1945).

    Any shape: (H, W) for one image, (N, H, W) for the pixels of all images together. Two empty masks agree:
    1. MedtlError if the shapes differ, the masks hold no pixel, or a value is neither 0 nor 1.
    """
    found, expected = np.asarray(mask), np.asarray(reference)
    if found.shape != expected.shape or found.size == 0:
        raise MedtlError(
            f"mask: shape {found.shape} found against reference {expected.shape}, expected one shape; "
            f"resize the mask to the reference"
        )
    for name, values in (("mask", found), ("reference", expected)):
        if not np.isin(values, (0, 1)).all():
            raise MedtlError(
                f"{name}: values other than 0 and 1 found, expected a binary mask; threshold it first"
            )
    overlap = np.count_nonzero((found == 1) & (expected == 1))
    total = np.count_nonzero(found) + np.count_nonzero(expected)
    return 2 * overlap / total if total else 1.0


def _one_against_rest(
    labels: NDArray[np.int64], probabilities: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Membership and score of each class (N, K), over which scikit-learn takes the macro mean in one call.

    With two classes both curves tell the same: class 1 alone, (N,).
    """
    members = np.eye(probabilities.shape[1], dtype=np.int64)[labels]
    if probabilities.shape[1] == 2:
        return members[:, 1], probabilities[:, 1]
    return members, probabilities
