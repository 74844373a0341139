"""What a validator may look at: no label of the target is among it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medtl_core.errors import MedtlError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Outputs:
    """A candidate network on held-out source cases and on target cases.

    source_features (n, d), source_probabilities (n, K), source_labels (n,) in 0 to K - 1; target_features
    (m, d), target_probabilities (m, K). Source cases must not have been trained on. Raises MedtlError for
    shapes that do not fit, probabilities that do not sum to 1, values that are not finite and labels outside
    the classes.
    """

    source_features: Array
    source_probabilities: Array
    source_labels: NDArray[np.int64]
    target_features: Array
    target_probabilities: Array

    def __post_init__(self) -> None:
        for side in ("source", "target"):
            features = require_rows(getattr(self, f"{side}_features"), f"{side} features")
            probabilities = require_probabilities(getattr(self, f"{side}_probabilities"), side)
            if len(features) != len(probabilities):
                raise MedtlError(
                    f"validators: {len(features)} {side} features and {len(probabilities)} {side} "
                    "probabilities, expected one of each a case"
                )
            object.__setattr__(self, f"{side}_features", features)
            object.__setattr__(self, f"{side}_probabilities", probabilities)
        pairs = ("features", "probabilities")
        for name in pairs:
            widths = [getattr(self, f"{side}_{name}").shape[1] for side in ("source", "target")]
            if widths[0] != widths[1]:
                raise MedtlError(
                    f"validators: source {name} have {widths[0]} columns and target {name} {widths[1]}, "
                    "expected the same network for both"
                )
        labels = require_labels(self.source_labels, self.source_probabilities)
        object.__setattr__(self, "source_labels", labels)


def require_rows(values: object, name: str) -> Array:
    """`values` as float64 (n, d). MedtlError for another shape, no case, or values that are not finite."""
    rows = np.asarray(values, dtype=np.float64)
    if rows.ndim != 2 or not rows.size or not np.isfinite(rows).all():
        raise MedtlError(
            f"validators: {name} of shape {rows.shape}, expected (cases, columns) with finite values"
        )
    return rows


def require_probabilities(values: object, side: str) -> Array:
    """`values` as float64 (n, K) with rows that sum to 1, else MedtlError."""
    rows = require_rows(values, f"{side} probabilities")
    if rows.min() < 0 or not np.allclose(rows.sum(1), 1, atol=1e-5):
        raise MedtlError(
            f"validators: {side} probabilities of {rows.min():.3g} to {rows.max():.3g} with row sums "
            f"{rows.sum(1).min():.3g} to {rows.sum(1).max():.3g}, expected soft-max outputs that sum to 1"
        )
    return rows


def require_labels(labels: object, probabilities: Array) -> NDArray[np.int64]:
    """`labels` as int64 (n,), each a column of `probabilities` (n, K), else MedtlError."""
    found = np.asarray(labels)
    n, k = probabilities.shape
    if found.shape != (n,) or not np.issubdtype(found.dtype, np.integer):
        raise MedtlError(
            f"validators: source labels of shape {found.shape} ({found.dtype}), expected {n} integers"
        )
    if found.min() < 0 or found.max() >= k:
        raise MedtlError(
            f"validators: source labels {found.min()} to {found.max()}, expected 0 to {k - 1}: the classes "
            "that the network has"
        )
    return found.astype(np.int64)
