"""How many equally weighted cases the weighted ones are worth."""

import numpy as np
from numpy.typing import ArrayLike

from medtl_core.errors import MedtlError


def effective_sample_size(weights: ArrayLike) -> float:
    """(sum w)^2 / sum w^2 of weights (n,) (Kish 1965): n for equal weights, 1 where one case has them all.

    MedtlError for weights that are negative, not finite or all 0.
    """
    w = np.asarray(weights, dtype=np.float64)
    if w.ndim != 1 or not np.isfinite(w).all() or (w < 0).any() or not w.sum() > 0:
        raise MedtlError(
            f"weights of shape {w.shape}: expected (n,), finite, none below 0 and one above; "
            "try a wider kernel or fewer dimensions"
        )
    return float(w.sum() ** 2 / (w**2).sum())
