"""The shallow methods by name: what each makes of two domains before one classifier is fitted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from medtl_core.adaptation.domains import Domains
from medtl_core.adaptation.label_shift.black_box import bbse_weights
from medtl_core.adaptation.label_shift.expectation_maximisation import adjusted_posteriors, saerens_em
from medtl_core.adaptation.subspace.alignment import align_subspaces
from medtl_core.adaptation.subspace.common_space import CommonSpace
from medtl_core.adaptation.subspace.component_analysis import transfer_components
from medtl_core.adaptation.subspace.correlation_alignment import coral
from medtl_core.adaptation.subspace.heterogeneity import domains_differ
from medtl_core.adaptation.subspace.transport import optimal_transport
from medtl_core.adaptation.weighting.discriminative import discriminative_weights
from medtl_core.adaptation.weighting.kernel_mean_matching import kmm_weights
from medtl_core.adaptation.weighting.kullback_leibler import kliep_weights
from medtl_core.adaptation.weighting.least_squares import ulsif_weights
from medtl_core.adaptation.weighting.sample_size import effective_sample_size
from medtl_core.errors import MedtlError

Array = NDArray[np.float64]
FOLDS = 5


@dataclass(frozen=True)
class Prepared:
    """What the classifier is fitted on: a space, weights (n,) of the source, an adjustment of posteriors.

    `adjust` takes the fitted classifier's posteriors of the target (m, K) and gives a map of posteriors
    (k, K), and what it found.
    """

    space: CommonSpace
    weights: Array | None = None
    adjust: Callable[[Array], tuple[Callable[[Array], Array], dict[str, float]]] | None = None
    classifier: LogisticRegression | LinearDiscriminantAnalysis = field(default_factory=lambda: logistic())
    diagnostics: dict[str, float] = field(default_factory=dict)


Method = Callable[[Domains, int, int], Prepared]


def logistic() -> LogisticRegression:
    """L2-regularised logistic regression, scikit-learn's C = 1, for features of mean variance 1."""
    return LogisticRegression(max_iter=5000)


def discriminant() -> LinearDiscriminantAnalysis:
    """Linear discriminant analysis with Ledoit and Wolf's shrinkage of the covariance."""
    return LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")


def _as_it_is(data: Domains) -> CommonSpace:
    return CommonSpace(data.source, lambda x: x)


def _source_only(data: Domains, seed: int, components: int) -> Prepared:
    return Prepared(_as_it_is(data))


def _weighting(
    weigh: Callable[..., Array], seeded: bool, data: Domains, seed: int, components: int
) -> Prepared:
    weights = weigh(data.source, data.target, **({"seed": seed} if seeded else {}))
    found = {"effective_sample_size": effective_sample_size(weights)}
    weights = weights / weights.mean()
    return Prepared(_as_it_is(data), weights, diagnostics=found | {"largest_weight": float(weights.max())})


def _components(fit: Callable[..., CommonSpace], data: Domains, seed: int, components: int) -> Prepared:
    space = fit(data.source, data.target, components=components)
    return Prepared(space, diagnostics={"components": float(components)})


def _whole_space(fit: Callable[..., CommonSpace], data: Domains, seed: int, components: int) -> Prepared:
    return Prepared(fit(data.source, data.target))


def _alignment_discriminant(data: Domains, seed: int, components: int) -> Prepared:
    differ, test = domains_differ(data.source, data.target, seed=seed)
    found = {"heterogeneity_p": test.p_value, "aligned": float(differ)}
    if not differ:
        return Prepared(_as_it_is(data), classifier=discriminant(), diagnostics=found)
    space = align_subspaces(data.source, data.target, components=components)
    found["components"] = float(components)
    return Prepared(space, classifier=discriminant(), diagnostics=found)


def _bbse(data: Domains, seed: int, components: int) -> Prepared:
    smallest = int(np.bincount(data.codes).min())
    if smallest < FOLDS:
        raise MedtlError(f"bbse: a source class of {smallest} cases, expected at least {FOLDS}, one a fold")
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    held_out = cross_val_predict(logistic(), data.source, data.codes, cv=folds)
    of_target = clone(logistic()).fit(data.source, data.codes).predict(data.target)
    by_class = bbse_weights(data.codes, held_out, of_target, len(data.classes))
    weights = by_class[data.codes]
    found = {"effective_sample_size": effective_sample_size(weights), "largest_weight": float(by_class.max())}
    shares = by_class * np.bincount(data.codes) / len(data.codes)
    return Prepared(
        _as_it_is(data), weights / weights.mean(), diagnostics=found | _shares(data, shares / shares.sum())
    )


def _saerens_em(data: Domains, seed: int, components: int) -> Prepared:
    prior = np.bincount(data.codes) / len(data.codes)

    def adjust(posteriors: Array) -> tuple[Callable[[Array], Array], dict[str, float]]:
        target_prior = saerens_em(posteriors, prior)
        return (lambda p: adjusted_posteriors(p, prior, target_prior)), _shares(data, target_prior)

    return Prepared(_as_it_is(data), adjust=adjust)


def _shares(data: Domains, shares: Array) -> dict[str, float]:
    return {f"target_share_{name}": float(share) for name, share in zip(data.classes, shares, strict=True)}


METHODS: dict[str, Method] = {
    "source_only": _source_only,
    "kmm": partial(_weighting, kmm_weights, False),
    "kliep": partial(_weighting, kliep_weights, True),
    "ulsif": partial(_weighting, ulsif_weights, True),
    "discriminative": partial(_weighting, discriminative_weights, True),
    "subspace_alignment": partial(_components, align_subspaces),
    "alignment_discriminant": _alignment_discriminant,
    "tca": partial(_components, transfer_components),
    "coral": partial(_whole_space, coral),
    "optimal_transport": partial(_whole_space, optimal_transport),
    "saerens_em": _saerens_em,
    "bbse": _bbse,
}
