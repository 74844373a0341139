"""The optimum of the minimax game in closed form (Goodfellow et al. 2014, section 4.1)."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy

from medtl_core.errors import MedtlError


def optimal_discriminator(p: ArrayLike, q: ArrayLike) -> NDArray[np.float64]:
    """D*(x) = p(x) / (p(x) + q(x)) for the densities p of the data and q of the generator at the same points.

    MedtlError for a negative density and for a point where both are 0.
    """
    data, generated = np.asarray(p, dtype=np.float64), np.asarray(q, dtype=np.float64)
    if data.shape != generated.shape or min(data.min(), generated.min()) < 0:
        raise MedtlError(
            f"optimal discriminator: shapes {data.shape} and {generated.shape}, lowest "
            f"{min(data.min(), generated.min()):g}, expected equal shapes and densities of at least 0"
        )
    total = data + generated
    if not total.all():
        raise MedtlError("optimal discriminator: both densities are 0 at a point, expected one above 0 there")
    return data / total


def game_value(p: ArrayLike, q: ArrayLike, weights: ArrayLike) -> float:
    """E_p log D* + E_q log(1 - D*), the integral by `weights` at the points (a grid's cell widths).

    -log 4 where q = p, and 0 where they never overlap. Errors as `optimal_discriminator`.
    """
    data, generated = np.asarray(p, dtype=np.float64), np.asarray(q, dtype=np.float64)
    # xlogy makes 0 log 0 zero: a density of 0 adds nothing.
    terms = xlogy(data, optimal_discriminator(data, generated)) + xlogy(
        generated, optimal_discriminator(generated, data)
    )
    return float((terms * np.asarray(weights)).sum())
