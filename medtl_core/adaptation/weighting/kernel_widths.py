"""Kernel centres among the target cases, and the widths that are tried."""

import numpy as np
from numpy.typing import NDArray

from medtl_core.errors import MedtlError
from medtl_core.evaluation.discrepancy import median_bandwidth

Array = NDArray[np.float64]
MULTIPLES = (0.25, 0.5, 1.0, 2.0)


def centres_and_widths(
    source: Array, target: Array, centres: int, widths: tuple[float, ...] | None, rng: np.random.Generator
) -> tuple[Array, tuple[float, ...]]:
    """At most `centres` different target cases (b, d), and `widths` or the median distance times MULTIPLES.

    Raises MedtlError for fewer than one centre and for widths not above 0.
    """
    if centres < 1:
        raise MedtlError(f"centres: found {centres}, expected at least 1")
    if widths is None:
        median = median_bandwidth(source, target)
        widths = tuple(median * multiple for multiple in MULTIPLES)
    if not widths or min(widths) <= 0:
        raise MedtlError(f"widths: found {widths}, expected numbers above 0")
    drawn = rng.permutation(len(target))[:centres]
    return target[drawn], widths
