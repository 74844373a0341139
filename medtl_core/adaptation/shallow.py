"""Shallow domain adaptation of features: one call for every method, one classifier behind all of them.

adapted = adapt("coral", source_features, source_labels, target_features, seed=0)
adapted.predict_proba(target_features)
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.linear_model import LogisticRegression

from medtl_core.adaptation.domains import Domains, Reduction, checked_domains
from medtl_core.adaptation.methods import METHODS, Prepared
from medtl_core.adaptation.weighted_discrepancy import weighted_mmd2
from medtl_core.errors import MedtlError

Array = NDArray[np.float64]
Adjustment = Callable[[Array], Array]


def method_names() -> list[str]:
    """Methods that `adapt` knows, `source_only` first."""
    return list(METHODS)


@dataclass(frozen=True)
class AdaptedClassifier:
    """A classifier of target cases.

    `classes` (K,): the source's labels, sorted. `source_weights` (n,): mean 1, in the order of the source's
    rows; 1 where a method does not weigh. `diagnostics`: `source_cases`, `target_cases`, `dimensions` after
    the reduction, `mmd2_before` and `mmd2_after` (squared MMD to the target, in the reduced space and in the
    one where the classifier works, not to be compared where their dimensions differ), and by method
    `effective_sample_size`, `largest_weight`, `components`, `heterogeneity_p`, `aligned`,
    `target_share_<class>`. `solver_share`: iterations of the logistic regression as a share of those allowed,
    1 where it did not converge; 0 for a discriminant, which is solved in closed form.
    """

    method: str
    classes: NDArray[np.generic]
    diagnostics: dict[str, float]
    source_weights: Array
    _reduction: Reduction
    _prepared: Prepared
    _centre: Array
    _scale: float
    _model: Any
    _adjust: Adjustment

    def predict_proba(self, features: ArrayLike) -> Array:
        """Probabilities (k, K) of target cases (k, d), in their order and that of `classes`."""
        x = np.asarray(features, np.float64)
        width = len(self._reduction.mean)
        if x.ndim != 2 or x.shape[1] != width or not np.isfinite(x).all():
            raise MedtlError(f"predict_proba: features {x.shape}, expected finite ones of shape (k, {width})")
        return np.asarray(self._adjust(self._posteriors(self._reduction(x))))

    def _posteriors(self, reduced: Array) -> Array:
        common = self._prepared.space.target_map(reduced)
        return np.asarray(self._model.predict_proba((common - self._centre) / self._scale))


def adapt(
    method: str,
    source_features: ArrayLike,
    source_labels: ArrayLike,
    target_features: ArrayLike,
    *,
    seed: int,
    dimensions: int = 64,
    components: int = 20,
) -> AdaptedClassifier:
    """A classifier for the target, from labelled source cases and unlabelled target cases.

    source_features (n, d) with source_labels (n,), target_features (m, d), all in one unit. They are centred
    and reduced to `dimensions` principal axes (none where d is not larger), both as found in the source, so
    that `source_only` sees nothing of the target; kernels and transport need few dimensions (KMM on 1,000
    cases of 1,280 features is left with an effective sample size of 32). `components` is the dimension of the
    subspace of the methods that have one. Then a logistic regression is fitted, a linear discriminant
    analysis in `alignment_discriminant`. Nothing is chosen on target labels: there are none here.

    The same seed gives the same classifier, whatever the order of the cases. Raises MedtlError for an unknown
    method, domains that are not two, features or labels that do not fit, and where a method has no solution.
    """
    if method not in METHODS:
        raise MedtlError(f"adapt: found method {method!r}, expected one of {', '.join(METHODS)}")
    given = checked_domains(source_features, source_labels, target_features)
    reduction = Reduction.of(given.source, dimensions)
    data = Domains(reduction(given.source), given.codes, given.classes, reduction(given.target), given.rows)
    prepared = METHODS[method](data, seed, components)
    return _fitted(method, data, reduction, prepared)


def _fitted(method: str, data: Domains, reduction: Reduction, prepared: Prepared) -> AdaptedClassifier:
    common = prepared.space.source
    centre, scale = common.mean(axis=0), float(np.sqrt(common.var(axis=0).mean()))
    if not scale > 0:
        raise MedtlError(f"adapt {method}: all source cases fall on one point; the domains lie too far apart")
    weighted = {} if prepared.weights is None else {"sample_weight": prepared.weights}
    model = prepared.classifier.fit((common - centre) / scale, data.codes, **weighted)
    found = {
        "source_cases": float(len(data.source)),
        "target_cases": float(len(data.target)),
        "dimensions": float(data.source.shape[1]),
        "mmd2_before": weighted_mmd2(data.source, data.target),
        "mmd2_after": weighted_mmd2(common, prepared.space.target_map(data.target), prepared.weights),
        "solver_share": _solver_share(model),
    }
    adjust: Adjustment = _unchanged
    shares: dict[str, float] = {}
    if prepared.adjust is not None:
        of_target = model.predict_proba((prepared.space.target_map(data.target) - centre) / scale)
        adjust, shares = prepared.adjust(of_target)
    weights = np.ones(len(data.source))
    if prepared.weights is not None:
        weights[data.rows] = prepared.weights
    return AdaptedClassifier(
        method,
        data.classes,
        found | prepared.diagnostics | shares,
        weights,
        reduction,
        prepared,
        centre,
        scale,
        model,
        adjust,
    )


def _solver_share(model: Any) -> float:
    iterative = isinstance(model, LogisticRegression)
    return float(np.max(model.n_iter_) / model.max_iter) if iterative else 0.0


def _unchanged(posteriors: Array) -> Array:
    return posteriors
