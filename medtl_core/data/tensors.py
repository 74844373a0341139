"""A split that lives on the device as uint8: normalised, and augmented, in batches there."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from medtl_core.data.archive import Archive
from medtl_core.errors import MedtlError


@dataclass(frozen=True)
class Normalisation:
    """Per-channel mean and standard deviation, for inputs in 0 to 1: `(x - mean) / std`."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class ResidentSet:
    """Images uint8 (N, C, H, W), C of 1 or 3, and labels int64 (N,), on one device."""

    images: Tensor
    labels: Tensor

    @classmethod
    def from_archive(
        cls, archive: Archive, index: np.ndarray, device: torch.device | str, size: int | None = None
    ) -> ResidentSet:
        """The images of `index`, brought to `size` x `size` pixels (bilinear, anti-aliased) where a size is given.

        Raises MedtlError for images that are not square where a size is given: they would be distorted.
        """
        pixels = torch.from_numpy(np.ascontiguousarray(archive.images[index]))
        images = pixels.unsqueeze(1) if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2)
        if size is not None and images.shape[-2:] != (size, size):
            height, width = images.shape[-2:]
            if height != width:
                raise MedtlError(
                    f"{archive.name}: images of {height} x {width} px, expected square ones to bring them to "
                    f"{size} px; crop or pad them first"
                )
            images = _resize(images, size)
        labels = torch.from_numpy(np.asarray(archive.labels[index], dtype=np.int64))
        return cls(images.contiguous().to(device), labels.to(device))

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, index: Tensor | np.ndarray) -> ResidentSet:
        """The cases of `index` (M,), in its order."""
        chosen = torch.as_tensor(index, dtype=torch.int64, device=self.labels.device)
        return ResidentSet(self.images[chosen], self.labels[chosen])

    def inputs(self, index: Tensor | slice, normalisation: Normalisation | None, channels: int = 3) -> Tensor:
        """Network inputs float32 (n, `channels`, H, W) in channels_last layout; grey images are replicated.

        Without a normalisation the values stay in 0 to 1.
        """
        x = self.images[index].float().div_(255)
        if x.shape[1] == 1 and channels == 3:
            x = replicate_grey(x)
        elif x.shape[1] != channels:
            raise MedtlError(f"images of {x.shape[1]} channels, expected {channels}")
        return normalise(x, normalisation).contiguous(memory_format=torch.channels_last)


def normalise(x: Tensor, normalisation: Normalisation | None) -> Tensor:
    """`(x - mean) / std` for x (N, C, H, W) in 0 to 1; None leaves x as it is."""
    if normalisation is None:
        return x
    mean, std = (x.new_tensor(v).view(1, -1, 1, 1) for v in (normalisation.mean, normalisation.std))
    return (x - mean) / std


def replicate_grey(x: Tensor) -> Tensor:
    """Grey (N, 1, H, W) as three equal channels (N, 3, H, W): the one way in which medtl feeds grey to RGB networks."""
    if x.shape[1] != 1:
        raise MedtlError(f"replicate_grey: {x.shape[1]} channels, expected 1")
    return x.expand(-1, 3, -1, -1)


def augment_affine(
    x: Tensor,
    generator: torch.Generator,
    *,
    flip: bool = False,
    degrees: float = 0.0,
    translate: float = 0.0,
    scale: float = 0.0,
) -> Tensor:
    """Flip, turn, shift and scale each image by its own draw, in one batched resampling on the device.

    x is float (N, C, H, W); `flip` mirrors left and right with probability one half, `degrees` turns by up to that
    angle, `translate` shifts by up to that share of the side, `scale` zooms by up to that share. What comes in from
    outside repeats the border.
    """

    def uniform(limit: float) -> Tensor:
        return (2 * torch.rand(len(x), generator=generator, device=x.device, dtype=x.dtype) - 1) * limit

    angle, zoom = uniform(math.radians(degrees)), 1 + uniform(scale)
    mirror = torch.ones_like(angle)
    if flip:
        mirror = 1 - 2 * (torch.rand(len(x), generator=generator, device=x.device) < 0.5).to(x.dtype)
    aspect = x.shape[-2] / x.shape[-1]
    cos, sin = angle.cos() / zoom, angle.sin() / zoom
    rows = (
        torch.stack([cos * mirror, -sin * aspect, uniform(2 * translate)], dim=1),
        torch.stack([sin * mirror / aspect, cos, uniform(2 * translate)], dim=1),
    )
    grid = functional.affine_grid(torch.stack(rows, dim=1), list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid, padding_mode="border", align_corners=False)


def _resize(images: Tensor, size: int, block: int = 1024) -> Tensor:
    resized = [
        functional.interpolate(part.float(), (size, size), mode="bilinear", antialias=True, align_corners=False)
        for part in images.split(block)
    ]
    return torch.cat(resized).round_().clamp_(0, 255).to(torch.uint8)
