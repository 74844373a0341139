"""Which part of a joint distribution changes between source and target: covariate, label or concept shift.

On a finite table P(x, y) every marginal and conditional can be written down, so the names that Moreno-Torres
et al. (Pattern Recognition 45:521, 2012) give to the kinds of shift become predicates.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medtl_core.errors import MedtlError


@dataclass(frozen=True)
class DistributionShift:
    """What differs between two joint distributions: `inputs` P(x), `labels` P(y), `concept` P(y | x),
    `appearance` P(x | y)."""

    inputs: bool
    labels: bool
    concept: bool
    appearance: bool

    @property
    def name(self) -> str:
        """`none`, `covariate` (P(y|x) stays), `label` (P(x|y) stays), `concept` (P(x) stays) or `other`."""
        if not (self.inputs or self.concept):
            return "none"
        if self.inputs and not self.concept:
            return "covariate"
        if self.labels and not self.appearance:
            return "label"
        if self.concept and not self.inputs:
            return "concept"
        return "other"


def distribution_shift(source: ArrayLike, target: ArrayLike, tolerance: float = 1e-9) -> DistributionShift:
    """Compare two joint tables P(x, y), each (X, K) with entries at least 0 that sum to 1.

    Conditionals are compared where both sides have mass: elsewhere they are undefined. `tolerance` is the
    largest absolute difference that counts as none. MedtlError for shapes that differ or no distribution.
    """
    p, q = _checked(source, "source"), _checked(target, "target")
    if p.shape != q.shape:
        raise MedtlError(f"joint tables: found shapes {p.shape} and {q.shape}, expected one shape (X, K)")
    return DistributionShift(
        inputs=_differ(p.sum(1), q.sum(1), tolerance),
        labels=_differ(p.sum(0), q.sum(0), tolerance),
        concept=_differ(*_conditionals(p, q), tolerance),
        appearance=_differ(*_conditionals(p.T, q.T), tolerance),
    )


def _checked(table: ArrayLike, side: str) -> NDArray[np.float64]:
    joint = np.asarray(table, dtype=np.float64)
    if joint.ndim != 2 or not (joint >= 0).all() or not np.isclose(joint.sum(), 1):
        raise MedtlError(
            f"joint table of the {side}: found shape {joint.shape} and sum {joint.sum():g}, "
            "expected (X, K) with entries at least 0 that sum to 1"
        )
    return joint


def _conditionals(
    p: NDArray[np.float64], q: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    shared = (p.sum(1) > 0) & (q.sum(1) > 0)
    rows = p[shared], q[shared]
    first, second = (row / row.sum(1, keepdims=True) for row in rows)
    return first, second


def _differ(first: NDArray[np.float64], second: NDArray[np.float64], tolerance: float) -> bool:
    return bool(np.abs(first - second).max(initial=0.0) > tolerance)
