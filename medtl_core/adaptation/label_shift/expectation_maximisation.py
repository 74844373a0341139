"""EM for new priors (Saerens, Latinne & Decaestecker 2002): a classifier adjusted to the target's classes."""

import numpy as np
from numpy.typing import NDArray

from medtl_core.errors import MedtlError

Array = NDArray[np.float64]


def saerens_em(
    posteriors: Array, source_prior: Array, *, tolerance: float = 1e-8, steps: int = 100_000
) -> Array:
    """Class shares (K,) of the target, from its posteriors (m, K) under the source's shares (K,).

    Saerens et al. 2002, section 2: adjust the posteriors to the shares, take their mean as shares, repeat
    until no share moves by more than `tolerance`. p(x | y) is assumed the same in both domains, and the
    posteriors calibrated. Raises MedtlError for source shares of 0, for posteriors that do not sum to 1, and
    where the shares still move after `steps`.
    """
    if not len(posteriors) or not np.allclose(posteriors.sum(axis=-1), 1, atol=1e-3):
        raise MedtlError(
            f"saerens_em: posteriors {posteriors.shape}, expected at least one row and each row to sum to 1"
        )
    if not source_prior.min() > 0 or posteriors.shape[1:] != source_prior.shape:
        raise MedtlError(
            f"saerens_em: shares {source_prior.tolist()} for posteriors {posteriors.shape}, "
            "expected one above 0 per class"
        )
    prior = source_prior / source_prior.sum()
    start = prior
    for _ in range(steps):
        moved = adjusted_posteriors(posteriors, start, prior).mean(axis=0)
        if np.abs(moved - prior).max() <= tolerance:
            return np.asarray(moved)
        prior = moved
    raise MedtlError(f"saerens_em: not converged in {steps} steps; loosen the tolerance")


def adjusted_posteriors(posteriors: Array, source_prior: Array, target_prior: Array) -> Array:
    """P(y | x) (m, K) of the source's shares (K,), under the target's shares (K,) (Saerens 2002)."""
    scaled = posteriors * (target_prior / source_prior)
    return np.asarray(scaled / scaled.sum(axis=1, keepdims=True))
