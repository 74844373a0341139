"""How well the centre of a case can be told from its features."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from medtl_core.errors import MedtlError


@dataclass(frozen=True)
class CentreProbe:
    """Cross-validated `balanced_accuracy` of telling centres apart and its `chance` level.

    With labels, `by_class` has the balanced accuracy within each class, of which `balanced_accuracy` is the
    mean, and `left_out` the classes with fewer cases of some centre than folds.
    """

    balanced_accuracy: float
    chance: float
    by_class: dict[int, float]
    left_out: tuple[int, ...]


def centre_probe(
    features: ArrayLike,
    centres: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    folds: int = 5,
    seed: int = 0,
) -> CentreProbe:
    """Probe the centre (n,) of features (n, d) with class-balanced logistic regression (C = 0.01).

    labels (n,): probe within each class, so that centres that merely differ in class shares are not told
    apart by the class. groups (n,): cases of one patient are kept in one fold. Raises MedtlError for a single
    centre, lengths that differ, and where no class has enough cases of each centre.
    """
    rows, where = np.asarray(features, dtype=np.float64), np.asarray(centres)
    if rows.ndim != 2 or where.shape != (len(rows),):
        raise MedtlError(
            f"centre_probe: features {rows.shape} and centres {where.shape}, expected (n, d) and (n,)"
        )
    names = np.unique(where)
    if len(names) < 2:
        raise MedtlError(
            f"centre_probe: {len(names)} centre found, expected at least 2; take another domain in"
        )
    classes = np.zeros(len(rows), int) if labels is None else _of_length(labels, len(rows), "labels")
    patients = None if groups is None else _of_length(groups, len(rows), "groups")
    found: dict[int, float] = {}
    left_out = []
    for label in np.unique(classes):
        chosen = np.flatnonzero(classes == label)
        if min(np.count_nonzero(where[chosen] == name) for name in names) < folds:
            left_out.append(int(label))
            continue
        splitter = (StratifiedKFold if patients is None else StratifiedGroupKFold)(
            folds, shuffle=True, random_state=seed
        )
        told = cross_val_predict(
            make_pipeline(
                StandardScaler(), LogisticRegression(C=0.01, class_weight="balanced", max_iter=1000)
            ),
            rows[chosen],
            where[chosen],
            groups=None if patients is None else patients[chosen],
            cv=splitter,
        )
        found[int(label)] = float(balanced_accuracy_score(where[chosen], told))
    if not found:
        raise MedtlError(
            f"centre_probe: no class has {folds} cases of each of {len(names)} centres, expected one "
            "such class; take fewer folds or leave labels out"
        )
    mean = float(np.mean(list(found.values())))
    return CentreProbe(mean, 1 / len(names), {} if labels is None else found, tuple(left_out))


def _of_length(values: ArrayLike, n: int, name: str) -> NDArray[np.generic]:
    found: NDArray[np.generic] = np.asarray(values)
    if found.shape != (n,):
        raise MedtlError(f"centre_probe: {name} of shape {found.shape}, expected ({n},)")
    return found
