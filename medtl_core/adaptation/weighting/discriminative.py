"""Discriminative weighting (Bickel, Brückner & Scheffer 2007): the ratio from a classifier of domains."""

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from medtl_core.errors import MedtlError

Array = NDArray[np.float64]


def discriminative_weights(
    source: Array, target: Array, *, seed: int, largest: float = 20.0, strength: float = 0.1, folds: int = 5
) -> Array:
    """Weights (n,) of source (n, d), mean 1: n/m P(target | x) / P(source | x), cut at `largest`.

    P is a logistic regression (scikit-learn's C = `strength` on standardised features), read where it has not
    seen the case (`folds` stratified folds drawn with `seed`): fitted odds of its own cases are too extreme.
    Raises MedtlError for fewer cases than folds in a domain, and `largest` not above 1.
    """
    n, m = len(source), len(target)
    if min(n, m) < folds:
        raise MedtlError(f"discriminative: {n} and {m} cases, expected at least {folds} a domain, one a fold")
    if not largest > 1:
        raise MedtlError(f"discriminative: largest weight {largest}, expected above 1")
    model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2000))
    odds = cross_val_predict(
        model,
        np.concatenate([source, target]),
        np.repeat([0, 1], [n, m]),
        cv=StratifiedKFold(folds, shuffle=True, random_state=seed),
        method="decision_function",
    )[:n]
    ratio = np.minimum(n / m * np.exp(np.minimum(odds, 700)), largest)
    return np.asarray(ratio / ratio.mean())
