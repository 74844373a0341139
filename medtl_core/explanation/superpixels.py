"""Superpixels, and what the network says of images of which only some superpixels are left."""

from __future__ import annotations

import numpy as np
import torch
from skimage.segmentation import slic
from torch import Tensor, nn

from medtl_core.errors import MedtlError
from medtl_core.explanation.untouched import logits_in_blocks


def superpixels(x: Tensor, count: int = 64, compactness: float = 10.0) -> Tensor:
    """About `count` superpixels of each image x (N, C, H, W): int64 (N, H, W), numbered from 0.

    SLIC (Achanta et al. 2012) by scikit-image, on each image stretched to 0 to 1; fewer where the image
    has fewer distinct regions. Raises MedtlError for fewer than 2, more than the image has pixels,
    and an image that SLIC does not divide.
    """
    height, width = x.shape[-2:]
    if not 2 <= count <= height * width:
        raise MedtlError(
            f"superpixels: {count} asked for, expected 2 to {height * width}, the pixels there are"
        )
    labels = []
    for image in x.detach().cpu().double().numpy():
        span = image.max() - image.min()
        stretched = (image - image.min()) / (span if span > 0 else 1.0)
        found = slic(stretched, n_segments=count, compactness=compactness, start_label=0, channel_axis=0)
        if found.min() == found.max():
            raise MedtlError(
                f"superpixels: SLIC finds one region where {count} were asked for, expected at least 2; "
                "the image may be flat or pure noise: give segments"
            )
        labels.append(np.unique(found, return_inverse=True)[1].reshape(height, width))
    return torch.from_numpy(np.stack(labels).astype(np.int64)).to(x.device)


def checked_segments(x: Tensor, segments: Tensor | None, count: int) -> Tensor:
    """`segments` numbered from 0 in each image, or superpixels of x where there are none.

    Raises MedtlError for another shape, and for fewer than 2 regions in an image.
    """
    if segments is None:
        return superpixels(x, count)
    expected = (len(x), *x.shape[-2:])
    if tuple(segments.shape) != expected or segments.is_floating_point():
        raise MedtlError(
            f"superpixels: segments {tuple(segments.shape)} of {segments.dtype}, expected integers {expected}"
        )
    found = [torch.unique(labels, return_inverse=True)[1] for labels in segments.to(x.device)]
    if any(int(labels.max()) == 0 for labels in found):
        raise MedtlError("superpixels: segments of one region, expected at least 2 in each image")
    return torch.stack(found)


def coalition_logits(
    network: nn.Module,
    image: Tensor,
    absent: Tensor,
    segments: Tensor,
    coalitions: Tensor,
    target: Tensor,
    block: int = 64,
) -> Tensor:
    """Target logits (S,) of one image with only some superpixels left, float64.

    image, absent: (C, H, W), where `absent` is the baseline that replaces a superpixel; segments: (H, W);
    coalitions: boolean (S, M), True for what is left; target: int64 scalar.
    """
    scores = []
    for part in coalitions.split(block):
        left = part[:, segments][:, None]
        seen = torch.where(left, image, absent)
        scores.append(logits_in_blocks(network, seen, target.expand(len(seen)), block))
    return torch.cat(scores).double()


def painted(values: list[Tensor], segments: Tensor, dtype: torch.dtype) -> Tensor:
    """Maps (N, H, W) in which each pixel shows the value of its superpixel."""
    return torch.stack(
        [value.to(segments.device, dtype)[labels] for value, labels in zip(values, segments, strict=True)]
    )
