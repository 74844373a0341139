"""What a judge needs and what it says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from medtl_core.errors import MedtlError
from medtl_core.explanation.explaining import Explanation
from medtl_core.explanation.untouched import target_of


@dataclass(frozen=True)
class Case:
    """A batch to be judged: network, images x (N, C, H, W), target int64 (N,), explanation, masks or None."""

    network: nn.Module
    x: Tensor
    target: Tensor
    explanation: Explanation
    masks: Tensor | None = None


@dataclass(frozen=True)
class Judgement:
    """values: float64 (N,) on the CPU, one for each image, NaN where undefined; direction: which is better.

    details: what else was measured, by name, such as the points of a curve (N, steps + 1).
    """

    judge: str
    values: Tensor
    direction: Literal["higher", "lower"]
    details: dict[str, object] = field(default_factory=dict)

    @property
    def mean(self) -> float:
        """Mean over the images for which the judge is defined."""
        return float(self.values.nanmean())


def checked_case(
    network: nn.Module, x: Tensor, target: int | Tensor, explanation: Explanation, masks: Tensor | None
) -> Case:
    """The batch as a case. Raises MedtlError for maps and masks of another shape, and empty masks."""
    expected = (len(x), *x.shape[-2:])
    if tuple(explanation.maps.shape) != expected:
        raise MedtlError(f"judge: maps {tuple(explanation.maps.shape)}, expected {expected} as the images")
    inside = None
    if masks is not None:
        if tuple(masks.shape) != expected:
            raise MedtlError(f"judge: masks {tuple(masks.shape)}, expected {expected} as the images")
        inside = masks.to(x.device) > 0
        if empty := [i for i in range(len(x)) if not bool(inside[i].any())]:
            raise MedtlError(
                f"judge: the mask of image {empty[0]} is empty, expected a pixel or more; leave it out"
            )
    return Case(network, x, target_of(network, x, target), explanation, inside)


def masks_of(case: Case, judge: str) -> Tensor:
    """The masks of a case, boolean (N, H, W). Raises MedtlError where there are none."""
    if case.masks is None:
        raise MedtlError(f"{judge}: no masks, expected masks (N, H, W) of what the map should point at")
    return case.masks


def ranked_pixels(maps: Tensor) -> Tensor:
    """Pixels from the largest value to the smallest, int64 (N, H W); ties in reading order."""
    return maps.flatten(1).argsort(dim=1, descending=True, stable=True)


def target_probability(case: Case, x: Tensor, block: int = 256) -> Tensor:
    """Softmax probability (N,) of each image's target, float64, for changed images x."""
    with torch.no_grad():
        parts = [case.network(part).double().softmax(1) for part in x.split(block)]
    return torch.cat(parts).gather(1, case.target[:, None])[:, 0]
