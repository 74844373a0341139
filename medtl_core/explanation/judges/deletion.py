"""Deletion and insertion: the score while pixels go or come, the most salient ones first (RISE).

Petsiuk et al. 2018, arXiv 1806.07421, section 4.1. Signed maps as they are; only the order of values counts.
"""

from __future__ import annotations

import torch
from torch import Tensor

from medtl_core.errors import MedtlError
from medtl_core.explanation.baselines import baseline_of
from medtl_core.explanation.judges.judgement import Case, Judgement, ranked_pixels, target_probability


def deletion(case: Case, *, steps: int = 20, baseline: str = "mean") -> Judgement:
    """Area under the target's probability while the image turns into its baseline, in `steps` equal steps."""
    curve = _curve(case, case.x, baseline_of(case.x, baseline), steps)
    return Judgement(
        "deletion", _area(curve), "lower", {"curve": curve, "baseline": baseline, "steps": steps}
    )


def insertion(case: Case, *, steps: int = 20, baseline: str = "blur") -> Judgement:
    """Area under the target's probability while the baseline turns into the image, in `steps` equal steps."""
    curve = _curve(case, baseline_of(case.x, baseline), case.x, steps)
    return Judgement(
        "insertion", _area(curve), "higher", {"curve": curve, "baseline": baseline, "steps": steps}
    )


def _curve(case: Case, start: Tensor, end: Tensor, steps: int) -> Tensor:
    """Probabilities (N, steps + 1) while the pixels of `start` become those of `end`."""
    pixels = case.x.shape[-2] * case.x.shape[-1]
    if not 1 <= steps <= pixels:
        raise MedtlError(f"deletion: {steps} steps, expected 1 to {pixels}, the pixels of an image")
    place = ranked_pixels(case.explanation.maps).argsort(dim=1).view(len(case.x), 1, *case.x.shape[-2:])
    points = []
    for step in range(steps + 1):
        changed = place < round(step * pixels / steps)
        points.append(target_probability(case, torch.where(changed, end, start)))
    return torch.stack(points, 1).cpu()


def _area(curve: Tensor) -> Tensor:
    """The area (N,) by trapezia, over the share of pixels in 0 to 1."""
    return torch.trapezoid(curve, dim=1) / (curve.shape[1] - 1)
