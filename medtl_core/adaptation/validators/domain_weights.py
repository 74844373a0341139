"""Density ratios of target to source from a classifier of domains (Bickel et al., ICML 2007)."""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from medtl_core.adaptation.validators.outputs import Array, require_rows
from medtl_core.errors import MedtlError


def density_ratio(
    source_features: object, target_features: object, *, folds: int = 5, seed: int = 0
) -> Array:
    """Weights (n,) = (n / m) P(target | x) / P(source | x) of source features (n, d) against target (m, d).

    The probabilities come from logistic regression (C = 0.01) on standardised features, for each case from a
    model that was fitted without it: one that has seen a case is too sure of its domain. MedtlError for
    fewer cases of a domain than folds or a different d.
    """
    source, target = (
        require_rows(source_features, "source features"),
        require_rows(target_features, "target features"),
    )
    if source.shape[1] != target.shape[1]:
        raise MedtlError(
            f"density ratio: {source.shape[1]} source and {target.shape[1]} target columns, expected as many"
        )
    if not 2 <= folds <= min(len(source), len(target)):
        raise MedtlError(
            f"density ratio: {len(source)} source and {len(target)} target cases for {folds} folds, expected "
            "at least 2 folds and as many cases of each domain"
        )
    is_target = np.repeat([0, 1], [len(source), len(target)])
    told = cross_val_predict(
        make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000)),
        np.concatenate([source, target]),
        is_target,
        cv=StratifiedKFold(folds, shuffle=True, random_state=seed),
        method="predict_log_proba",
    )[: len(source)]
    ratio: Array = np.exp(told[:, 1] - told[:, 0]) * len(source) / len(target)
    return ratio


def effective_sample_size(weights: Array) -> float:
    """(sum w)^2 / sum w^2: as many equally weighted cases would vary as much. Weights (n,) at least 0."""
    return float(weights.sum() ** 2 / np.square(weights).sum())
