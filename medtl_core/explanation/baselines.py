"""What stands for 'no information' in an image: the baseline that many methods compare with."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from medtl_core.errors import MedtlError

BASELINES = {
    "zeros": "zeros: the mean of the normalisation",
    "mean": "the image's own mean in each channel",
    "blur": "the image blurred, standard deviation of 1/12 of the longer side",
}
"""Baselines by name, and what they are."""


def baseline_of(x: Tensor, kind: str) -> Tensor:
    """The baseline of that kind for normalised images x (N, C, H, W), of the same shape.

    Raises MedtlError for an unknown kind.
    """
    if kind == "zeros":
        return torch.zeros_like(x)
    if kind == "mean":
        return x.mean((2, 3), keepdim=True).expand_as(x)
    if kind == "blur":
        return _blurred(x)
    raise MedtlError(f"baseline: {kind!r}, expected one of {', '.join(BASELINES)}")


def _blurred(x: Tensor) -> Tensor:
    sigma = max(x.shape[-2:]) / 12
    reach = max(1, int(3 * sigma))
    offsets = torch.arange(-reach, reach + 1, dtype=x.dtype, device=x.device)
    kernel = torch.exp(-(offsets**2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    channels = x.shape[1]
    padded = functional.pad(x, (reach, reach, reach, reach), mode="replicate")
    rows = functional.conv2d(padded, kernel.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)
    return functional.conv2d(rows, kernel.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)
