"""What a linear classifier reads from features that hold nothing of the disease: the border, the grey values.

A probe is logistic regression on standardised features. It is judged by its area under the ROC curve (AUROC)
in five-fold cross-validation, with groups and near duplicates on one side of every fold.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from medtl_core.data.archives.archive import Archive
from medtl_core.data.auditing.thumbnails import thumbnails
from medtl_core.data.duplicates import joined_groups

LEAST_GROUPS = 10  # of a class, for it to be probed
MOST_CASES = 5000
_FOLDS = 5
_SIDE = 32


@dataclass(frozen=True)
class Skill:
    """How well something is told.

    Attributes:
        auroc: 0 to 1, 0.5 by chance; of several classes the mean of each against the rest.
        error: its standard error (`auroc_error`).
        n: cases it was measured on.
    """

    auroc: float
    error: float
    n: int

    @property
    def surely(self) -> float:
        """Two standard errors below the AUROC."""
        return self.auroc - 2 * self.error


def probe(
    features: NDArray[np.float32], targets: NDArray, together: NDArray[np.int64], seed: int = 0
) -> Skill | None:
    """How well `targets` are told from `features` in cross-validation; None where that cannot be asked.

    Values of `targets` in fewer than `LEAST_GROUPS` groups are left out, and of more than `MOST_CASES`
    cases so many are drawn. With fewer than two values left there is nothing to ask.

    Args:
        features: (N, F).
        targets: (N,) integers or text.
        together: (N,) one integer per group; a group is on one side of every fold.
        seed: decides the folds and which cases.
    """
    cases = _cases(targets, together, seed)
    if not len(cases):
        return None
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=seed)
    scores = cross_val_predict(
        _classifier(),
        features[cases],
        targets[cases],
        groups=together[cases],
        cv=folds,
        method="predict_proba",
    )
    return skill_of(targets[cases], scores, together[cases])


def probe_across(
    features: NDArray[np.float32],
    targets: NDArray,
    together: NDArray[np.int64],
    source: NDArray[np.bool_],
    judged: NDArray[np.bool_],
    seed: int = 0,
) -> Skill | None:
    """How well `targets` are told in the cases `judged` (N,) by a probe of the cases `source` (N,).

    None where fewer than two values of `targets` are in both; the rest as `probe`.
    """
    common = _common(targets, together, source, judged)
    usable = np.isin(targets, common)
    learnt, seen = np.flatnonzero(source & usable), np.flatnonzero(judged & usable)
    if len(common) < 2:
        return None
    rng = np.random.default_rng(seed)
    learnt, seen = (rng.permutation(each)[:MOST_CASES] for each in (learnt, seen))
    scores = _classifier().fit(features[learnt], targets[learnt]).predict_proba(features[seen])
    return skill_of(targets[seen], scores, together[seen])


def skill_of(targets: NDArray, scores: NDArray, together: NDArray[np.int64]) -> Skill:
    """How well scores (N, K), one column for each of the K values of `targets` in order, tell them.

    Of two values it is the AUROC of the second; of more, the mean of each against the rest. The standard
    error takes as many cases as there are groups, and the questions as independent.
    """
    values = np.unique(targets)
    asked = values[1:] if len(values) == 2 else values
    curves, variances = [], []
    for column, value in zip(scores.T[-len(asked) :], asked, strict=True):
        positive = targets == value
        auroc = float(roc_auc_score(positive, column))
        groups = [len(np.unique(together[part])) for part in (positive, ~positive)]
        curves.append(auroc)
        variances.append(auroc_error(auroc, *groups) ** 2)
    return Skill(float(np.mean(curves)), math.sqrt(sum(variances)) / len(asked), len(targets))


def auroc_error(auroc: float, n_positive: int, n_negative: int) -> float:
    """Standard error of an AUROC (Hanley and McNeil 1982, equation 1, with exponential scores)."""
    both_positive = auroc / (2 - auroc)
    both_negative = 2 * auroc**2 / (1 + auroc)
    variance = (
        auroc * (1 - auroc)
        + (n_positive - 1) * (both_positive - auroc**2)
        + (n_negative - 1) * (both_negative - auroc**2)
    ) / (n_positive * n_negative)
    return math.sqrt(max(variance, 0.0))


def kept_together(archive: Archive, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """`duplicates.joined_groups`, near duplicates (P, 2) joined as well; (N,)."""
    groups = joined_groups(archive)
    n = int(groups.max()) + 1
    links = coo_array((np.ones(len(pairs)), (groups[pairs[:, 0]], groups[pairs[:, 1]])), shape=(n, n))
    joined: NDArray[np.int64] = connected_components(links, directed=False)[1][groups].astype(np.int64)
    return joined


def small_pictures(images: np.ndarray) -> NDArray[np.float32]:
    """(N, 256) thumbnails of 16 x 16: where it is bright and where it is dark."""
    return thumbnails(images, _SIDE // 2).reshape(len(images), -1)


def borders(images: np.ndarray) -> NDArray[np.float32]:
    """(N, 240) the outer sixteenth of each side, of thumbnails of 32 x 32."""
    width = _SIDE // 16
    outside = np.ones((_SIDE, _SIDE), bool)
    outside[width:-width, width:-width] = False
    return thumbnails(images, _SIDE)[:, outside]


def grey_histograms(images: np.ndarray) -> NDArray[np.float32]:
    """(N, 18) shares of pixels in 16 equal ranges of the grey value, of exact 0 and of exact 255."""
    shares = np.empty((len(images), 18), np.float32)
    for index, image in enumerate(images):
        counts = np.bincount(image.ravel(), minlength=256)
        shares[index, :16] = counts.reshape(16, 16).sum(axis=1)
        shares[index, 16:] = counts[[0, 255]]
    return shares / images[0].size


def _classifier() -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))


def _cases(targets: NDArray, together: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    kept = [
        value for value in np.unique(targets) if len(np.unique(together[targets == value])) >= LEAST_GROUPS
    ]
    if len(kept) < 2:
        return np.empty(0, np.int64)
    cases = np.flatnonzero(np.isin(targets, kept))
    return np.sort(np.random.default_rng(seed).permutation(cases)[:MOST_CASES])


def _common(
    targets: NDArray, together: NDArray[np.int64], source: NDArray[np.bool_], judged: NDArray[np.bool_]
) -> list:
    return [
        value
        for value in np.unique(targets)
        if all(
            len(np.unique(together[part & (targets == value)])) >= LEAST_GROUPS for part in (source, judged)
        )
    ]
