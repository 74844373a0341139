"""Validators by name: which candidate to keep where no label of the target is known.

Choosing by accuracy on labelled target cases, the oracle, is no validator: it belongs in an arm of its own.
Published figures of domain adaptation have often been chosen that way.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from medtl_core.adaptation.validators.domain_weights import density_ratio
from medtl_core.adaptation.validators.outputs import Outputs
from medtl_core.adaptation.validators.risks import (
    case_losses,
    deep_embedded_validation,
    importance_weighted_risk,
    source_risk,
)
from medtl_core.adaptation.validators.target_outputs import prediction_entropy, soft_neighbourhood_density
from medtl_core.errors import MedtlError


@dataclass(frozen=True)
class Validator:
    """A label-free score of a candidate's `Outputs`, and whether the `lowest` or the `highest` is best."""

    name: str
    best: Literal["lowest", "highest"]
    score: Callable[[Outputs], float]


def _losses(outputs: Outputs) -> np.ndarray:
    return case_losses(outputs.source_probabilities, outputs.source_labels)


def _weights(outputs: Outputs) -> np.ndarray:
    return density_ratio(outputs.source_features, outputs.target_features)


VALIDATORS: dict[str, Validator] = {
    one.name: one
    for one in (
        Validator("source risk", "lowest", lambda o: source_risk(_losses(o))),
        Validator(
            "importance-weighted risk",
            "lowest",
            lambda o: importance_weighted_risk(_losses(o), _weights(o)),
        ),
        Validator(
            "deep embedded validation",
            "lowest",
            lambda o: deep_embedded_validation(_losses(o), _weights(o)),
        ),
        Validator("entropy", "lowest", lambda o: prediction_entropy(o.target_probabilities)),
        Validator(
            "soft neighbourhood density",
            "highest",
            lambda o: soft_neighbourhood_density(o.target_probabilities),
        ),
    )
}


def validator_named(name: str) -> Validator:
    """The validator of that name. MedtlError that lists the names; "oracle" is none of them."""
    if name not in VALIDATORS:
        raise MedtlError(f"validator {name!r} found, expected one of {', '.join(VALIDATORS)}")
    return VALIDATORS[name]


def choose(candidates: Mapping[str, Outputs], validator: str) -> tuple[str, dict[str, float]]:
    """The candidate that the validator of that name finds best (of equals the first), and all scores.

    MedtlError for no candidate, an unknown validator, or a score that is not finite.
    """
    judge = validator_named(validator)
    if not candidates:
        raise MedtlError(f"{validator}: no candidate found, expected at least one")
    scores = {name: judge.score(outputs) for name, outputs in candidates.items()}
    for name, score in scores.items():
        if not np.isfinite(score):
            raise MedtlError(f"{validator}: score of {name!r} is {score}, expected a finite one")
    pick = min if judge.best == "lowest" else max
    return pick(scores, key=lambda name: scores[name]), scores
