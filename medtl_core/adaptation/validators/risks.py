"""Risks estimated on labelled source cases, plain or weighted towards the target. Lower is better."""

import numpy as np

from medtl_core.adaptation.validators.outputs import Array, require_labels, require_probabilities
from medtl_core.errors import MedtlError


def case_losses(probabilities: object, labels: object) -> Array:
    """Cross-entropy (n,) of each case, from probabilities (n, K) and labels (n,); at most 27.6 (at 1e-12)."""
    rows = require_probabilities(probabilities, "source")
    chosen = rows[np.arange(len(rows)), require_labels(labels, rows)]
    return np.asarray(-np.log(np.clip(chosen, 1e-12, 1)))


def source_risk(losses: object) -> float:
    """Mean of the source's losses (n,). It knows nothing of the target."""
    return float(_vector(losses, "losses").mean())


def importance_weighted_risk(losses: object, weights: object) -> float:
    """mean_i w_i l_i of the source's losses (n,) and density ratios (n,) (Sugiyama et al. 2007).

    Without bias for the target's risk under covariate shift if the weights are right; its variance is high
    where few cases carry most of the weight.
    """
    loss, weight = _pair(losses, weights)
    return float((weight * loss).mean())


def deep_embedded_validation(losses: object, weights: object) -> float:
    """The importance-weighted risk with a control variate: DEV (You et al., ICML 2019, algorithm 1).

    R = mean(w l) + eta mean(w) - eta with eta = -cov(w l, w) / var(w): the mean of right weights is 1, so
    what the sample's mean misses says how far the risk is off. Both arrays are (n,): a column (n, 1) would
    spread to (n, n) and lose the pairing. It can be below 0. Equal weights leave nothing to control.
    """
    loss, weight = _pair(losses, weights)
    variance = weight.var(ddof=1)
    weighted = weight * loss
    if variance == 0:
        return float(weighted.mean())
    eta = -np.cov(weighted, weight, ddof=1)[0, 1] / variance
    return float(weighted.mean() + eta * weight.mean() - eta)


def _pair(losses: object, weights: object) -> tuple[Array, Array]:
    loss, weight = _vector(losses, "losses"), _vector(weights, "weights")
    if len(loss) != len(weight) or weight.min() < 0:
        raise MedtlError(
            f"validators: {len(loss)} losses and {len(weight)} weights from {weight.min():.3g}, expected one "
            "weight of at least 0 for each loss"
        )
    return loss, weight


def _vector(values: object, name: str) -> Array:
    vector = np.asarray(values, dtype=np.float64)
    if vector.ndim != 1 or len(vector) < 2 or not np.isfinite(vector).all():
        raise MedtlError(
            f"validators: {name} of shape {vector.shape}, expected (n,) with 2 finite values or more"
        )
    return vector
