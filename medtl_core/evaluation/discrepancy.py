"""How far two samples lie apart: maximum mean discrepancy and proxy A-distance."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist, pdist
from sklearn.base import ClassifierMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from medtl_core.errors import MedtlError
from medtl_core.evaluation.statistics.permutation import permutation_p


@dataclass(frozen=True)
class TwoSampleTest:
    """Unbiased MMD^2 as `statistic`, `p_value` of no difference, `bandwidth`, permuted values `null` (B,)."""

    statistic: float
    p_value: float
    bandwidth: float
    null: NDArray[np.float64]


def median_bandwidth(x: ArrayLike, y: ArrayLike) -> float:
    """Median Euclidean distance between any two cases of both samples together (Gretton 2012, section 8).

    x (n, d), y (m, d). MedtlError where more than half of the distances are 0.
    """
    first, second = _samples(x, y)
    median = float(np.median(pdist(np.concatenate([first, second]))))
    if median == 0:
        raise MedtlError(
            "bandwidth: median distance 0 found, expected cases that differ; give a bandwidth above 0"
        )
    return median


def mmd2(x: ArrayLike, y: ArrayLike, bandwidth: float | None = None) -> float:
    """Unbiased squared maximum mean discrepancy of x (n, d) and y (m, d), RBF kernel (Gretton 2012, eq. 3).

    k(a, b) = exp(-|a - b|^2 / (2 bandwidth^2)); None: `median_bandwidth`. Its expectation is 0 for equal
    distributions, so that it can come out below 0; at most 2. MedtlError for fewer than two cases a side,
    different d, values that are not finite and a bandwidth not above 0.
    """
    first, second = _samples(x, y)
    kernel = _kernel(np.concatenate([first, second]), _checked_bandwidth(bandwidth, first, second))
    return _mmd2_of(kernel, np.arange(len(kernel)) < len(first))


def mmd_test(
    x: ArrayLike, y: ArrayLike, *, permutations: int = 500, seed: int = 0, bandwidth: float | None = None
) -> TwoSampleTest:
    """Permutation test of equal distributions with MMD^2 (Gretton 2012).

    The p value is `permutation_p`, so it is never 0 and the level is exact. The cases must be independent:
    not several of one patient. Errors as `mmd2`, and MedtlError for fewer than 19 permutations, with which p
    can never reach .05.
    """
    if permutations < 19:
        raise MedtlError(f"mmd_test: found {permutations} permutations, expected at least 19 (p of .05)")
    first, second = _samples(x, y)
    width = _checked_bandwidth(bandwidth, first, second)
    kernel = _kernel(np.concatenate([first, second]), width)
    from_x = np.arange(len(kernel)) < len(first)
    found = _mmd2_of(kernel, from_x)
    rng = np.random.default_rng(seed)
    null = np.array([_mmd2_of(kernel, rng.permutation(from_x)) for _ in range(permutations)])
    return TwoSampleTest(found, permutation_p(found, null), width, null)


def proxy_a_distance(
    x: ArrayLike,
    y: ArrayLike,
    *,
    classifier: ClassifierMixin | None = None,
    folds: int = 5,
    groups: ArrayLike | None = None,
    seed: int = 0,
) -> float:
    """2 (1 - 2 err) of a classifier that tells x (n, d) from y (m, d) (Ben-David et al. 2007).

    err is the balanced error over stratified cross-validation, so samples may differ in size: about 0 (by
    chance also below) where they cannot be told apart, 2 where they always can. classifier: any scikit-learn
    classifier; None: class-balanced logistic regression on standardised features with C = 0.01. groups
    (n + m,): cases of one group, such as a patient or an image and its shifted copy, are kept in one fold.
    Errors as `mmd2`, and MedtlError where a side has fewer cases than folds.
    """
    first, second = _samples(x, y)
    if not 2 <= folds <= min(len(first), len(second)):
        raise MedtlError(
            f"proxy_a_distance: {folds} folds for {len(first)} and {len(second)} cases, "
            "expected at least 2 and no more than cases on either side"
        )
    model = classifier if classifier is not None else _default_classifier()
    side = np.repeat([0, 1], [len(first), len(second)])
    splitter = StratifiedKFold if groups is None else StratifiedGroupKFold
    told = cross_val_predict(
        clone(model),
        np.concatenate([first, second]),
        side,
        groups=None if groups is None else np.asarray(groups),
        cv=splitter(folds, shuffle=True, random_state=seed),
    )
    error = 1 - balanced_accuracy_score(side, told)
    return float(2 * (1 - 2 * error))


def _default_classifier() -> ClassifierMixin:
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.01, class_weight="balanced", max_iter=1000))


def _samples(x: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    first, second = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    fits = first.ndim == second.ndim == 2 and first.shape[1:] == second.shape[1:]
    if not fits or min(len(first), len(second)) < 2:
        raise MedtlError(
            f"samples: found shapes {first.shape} and {second.shape}, expected (n, d) and (m, d), "
            "at least 2 cases each"
        )
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise MedtlError("samples: NaN or infinity found, expected finite features")
    return first, second


def _checked_bandwidth(
    bandwidth: float | None, first: NDArray[np.float64], second: NDArray[np.float64]
) -> float:
    if bandwidth is None:
        return median_bandwidth(first, second)
    if not 0 < bandwidth < np.inf:
        raise MedtlError(f"bandwidth: {bandwidth} found, expected a finite number above 0")
    return float(bandwidth)


def _kernel(cases: NDArray[np.float64], bandwidth: float) -> NDArray[np.float64]:
    squared: NDArray[np.float64] = cdist(cases, cases, "sqeuclidean")
    return np.exp(-squared / (2 * bandwidth**2))


def _mmd2_of(kernel: NDArray[np.float64], from_x: NDArray[np.bool_]) -> float:
    """MMD^2 from the kernel matrix of all cases; a case is never paired with itself."""
    n, m = int(from_x.sum()), int((~from_x).sum())
    a, b = from_x.astype(np.float64), (~from_x).astype(np.float64)
    to_x, diagonal = kernel @ a, np.diagonal(kernel)
    within_x = (a @ to_x - a @ diagonal) / (n * (n - 1))
    within_y = (b @ (kernel @ b) - b @ diagonal) / (m * (m - 1))
    return float(within_x + within_y - 2 * (b @ to_x) / (n * m))
