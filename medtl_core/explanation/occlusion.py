"""Occlusion: what the score loses where a patch is covered (Zeiler & Fergus 2014, section 4.2)."""

from __future__ import annotations

import math

import torch
from captum.attr import Occlusion
from torch import Tensor, nn

from medtl_core.errors import MedtlError
from medtl_core.explanation.attribution import Attribution
from medtl_core.explanation.baselines import baseline_of


def occlusion(
    network: nn.Module,
    x: Tensor,
    target: Tensor,
    *,
    patch: int | None = None,
    stride: int | None = None,
    baseline: str = "mean",
) -> Attribution:
    """Loss of the logit under a square patch, averaged at each pixel over the patches that cover it.

    patch: side in pixels, by default 1/8 of the shorter side; stride: by default half a patch.
    Raises MedtlError for a patch that does not fit, and a stride that leaves pixels uncovered.
    """
    height, width = x.shape[-2:]
    side = patch if patch is not None else max(1, min(height, width) // 8)
    step = stride if stride is not None else max(1, side // 2)
    if not 1 <= side <= min(height, width) or not 1 <= step <= side:
        raise MedtlError(
            f"occlusion: patch {side} and stride {step}, expected a patch of 1 to {min(height, width)} px, "
            "and a stride of 1 to the patch"
        )
    channels = x.shape[1]
    with torch.no_grad():
        lost = Occlusion(network).attribute(
            x,
            sliding_window_shapes=(channels, side, side),
            strides=(channels, step, step),
            baselines=baseline_of(x, baseline),
            target=target,
            perturbations_per_eval=max(1, 256 // len(x)),
        )
    grid = (1 + math.ceil((height - side) / step), 1 + math.ceil((width - side) / step))
    return Attribution(lost[:, 0].to(x.dtype), grid)  # equal in all channels: a patch covers all of them
