"""Judging a network by its unlabelled target outputs alone."""

import numpy as np
from scipy.special import entr, softmax

from medtl_core.adaptation.validators.outputs import Array, require_probabilities
from medtl_core.errors import MedtlError


def prediction_entropy(target_probabilities: object) -> float:
    """Mean entropy in nats of probabilities (m, K): 0 (sure of each case) to log K. Lower counts as better.

    A network that gives every case to one class for sure has the best value there is.
    """
    return float(entr(require_probabilities(target_probabilities, "target")).sum(1).mean())


def soft_neighbourhood_density(target_probabilities: object, *, temperature: float = 0.05) -> float:
    """Soft neighbourhood density of probabilities (m, K) (Saito et al., ICCV 2021). Higher is better.

    Each row, scaled to length 1, is compared with all others; soft-max of the similarities over `temperature`
    is the chance of being each other's neighbour, and the mean entropy of those chances is the density: large
    where a case has many equally close neighbours. From 0 to log(m - 1), which a network also reaches that
    says the same of every case. Raises MedtlError for fewer than 3 cases or a temperature not above 0.
    """
    rows = require_probabilities(target_probabilities, "target")
    if len(rows) < 3 or not temperature > 0:
        raise MedtlError(
            f"soft neighbourhood density: {len(rows)} cases at temperature {temperature:g}, expected at "
            "least 3 cases and a temperature above 0"
        )
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    similarity: Array = unit @ unit.T / temperature
    np.fill_diagonal(similarity, -np.inf)
    return float(entr(softmax(similarity, axis=1)).sum(1).mean())
