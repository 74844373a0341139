"""Calibration of the most probable class: does a confidence of .8 mean right in 80 % of the cases?"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from medtl_core.errors import MedtlError
from medtl_core.evaluation.scores import checked_probabilities

BINS = 15  # as Guo et al. 2017


def reliability_table(y: ArrayLike, scores: ArrayLike, bins: int = BINS) -> pd.DataFrame:
    """The reliability diagram as numbers: one row a bin of confidence, bins of equal width (low, high].

    Confidence is the probability of the most probable class. Columns: `low`, `high` (edges in [0, 1]),
    `count` (cases), `confidence` (mean) and `accuracy` (share that is right); the last two are NaN in an
    empty bin. MedtlError for bad input (`checked_probabilities`) and for fewer than one bin.
    """
    if bins < 1:
        raise MedtlError(
            f"bins: {bins} found, expected at least 1; leave it at {BINS} unless the test set is tiny"
        )
    labels, probabilities = checked_probabilities(y, scores)
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    edges = np.linspace(0.0, 1.0, bins + 1)
    index = bin_of(confidence, bins)
    count = np.bincount(index, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean_confidence = np.bincount(index, weights=confidence, minlength=bins) / count
        mean_accuracy = np.bincount(index, weights=correct, minlength=bins) / count
    return pd.DataFrame(
        {
            "low": edges[:-1],
            "high": edges[1:],
            "count": count,
            "confidence": mean_confidence,
            "accuracy": mean_accuracy,
        }
    )


def bin_of(confidence: NDArray[np.float64], bins: int = BINS) -> NDArray[np.intp]:
    """The bin (low, high] of each confidence in [0, 1], from 0; the first one holds 0, too."""
    return np.digitize(confidence, np.linspace(0.0, 1.0, bins + 1)[1:-1], right=True)


def expected_calibration_error(y: ArrayLike, scores: ArrayLike, bins: int = BINS) -> float:
    """Expected calibration error, in [0, 1]: mean over cases of |accuracy - confidence| of the case's bin.

    Naeini et al. 2015; Guo et al. 2017, equation 3. Biased upwards on small test sets: with few cases a bin,
    chance alone makes accuracy and confidence differ. Arguments and errors as `reliability_table`.
    """
    table = reliability_table(y, scores, bins)
    filled = table[table["count"] > 0]
    gap = (filled["accuracy"] - filled["confidence"]).abs()
    return float((filled["count"] * gap).sum() / filled["count"].sum())
