"""A split that lives on the device as uint8: normalised, and augmented, in batches there."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from medtl_core.data.archives.archive import Archive
from medtl_core.errors import MedtlError


@dataclass(frozen=True)
class Normalisation:
    """Per-channel mean and standard deviation, for inputs in 0 to 1: `(x - mean) / std`."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if not len(self.mean) == len(self.std) >= 1 or not min(self.std) > 0:
            raise MedtlError(
                f"normalisation: mean {self.mean} and std {self.std}, expected one of each per channel, "
                "std above 0"
            )


@dataclass(frozen=True)
class DeviceDataset:
    """Images uint8 (N, C, H, W), C of 1 or 3, and labels int64 (N,), on one device."""

    images: Tensor
    labels: Tensor

    @classmethod
    def from_archive(
        cls, archive: Archive, index: np.ndarray, device: torch.device | str, size: int | None = None
    ) -> DeviceDataset:
        """The images of `index`, brought to `size` x `size` px (bilinear, anti-aliased) if a size is given.

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

    def select(self, index: Tensor | np.ndarray) -> DeviceDataset:
        """The cases of `index` (M,), in its order."""
        chosen = torch.as_tensor(index, dtype=torch.int64, device=self.labels.device)
        return DeviceDataset(self.images[chosen], self.labels[chosen])

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
    """`(x - mean) / std` for x (N, C, H, W) in 0 to 1; None leaves x as it is.

    A single mean and std serve all channels; else MedtlError unless there is one of each per channel.
    """
    if normalisation is None:
        return x
    if len(normalisation.mean) not in (1, x.shape[1]):
        raise MedtlError(
            f"normalise: images of {x.shape[1]} channels, but mean and std of {len(normalisation.mean)}"
        )
    mean, std = (x.new_tensor(v).view(1, -1, 1, 1) for v in (normalisation.mean, normalisation.std))
    return (x - mean) / std


def replicate_grey(x: Tensor) -> Tensor:
    """Grey (N, 1, H, W) as three equal channels (N, 3, H, W): how medtl feeds grey to RGB networks."""
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
    """Flip, turn, scale and shift each image by its own draw, in one batched resampling on the device.

    x: float (N, C, H, W); flip: mirror left and right with probability one half; degrees: largest turn, drawn
    uniformly in both directions; translate: largest shift, as a share of width and height; scale: largest
    relative change of size. What comes in from outside repeats the border. Flips alone move pixels and change
    no value. Raises MedtlError for limits out of range.
    """
    if not (0 <= degrees <= 180 and 0 <= translate <= 1 and 0 <= scale < 1):
        raise MedtlError(
            f"augment_affine: degrees {degrees}, translate {translate}, scale {scale}; "
            "expected 0 to 180, 0 to 1 and 0 to below 1"
        )

    def uniform(limit: float) -> Tensor:
        drawn = torch.rand(len(x), generator=generator, device=generator.device, dtype=x.dtype)
        return ((2 * drawn - 1) * limit).to(x.device)

    if flip:
        mirrored = uniform(1.0) < 0
        x = torch.where(mirrored[:, None, None, None], x.flip(-1), x)
    if degrees == translate == scale == 0:
        return x
    height, width = x.shape[-2:]
    angle, size = uniform(math.radians(degrees)), 1 + uniform(scale)
    cosine, sine = angle.cos() / size, angle.sin() / size
    rows = (
        torch.stack([cosine, -sine, uniform(translate * width)], dim=1),
        torch.stack([sine, cosine, uniform(translate * height)], dim=1),
    )
    return resample(x, torch.stack(rows, dim=1))


def resample(x: Tensor, matrices: Tensor) -> Tensor:
    """Each image (N, C, H, W) seen through its own affine map, bilinear; outside, the border is repeated.

    matrices: (N, 2, 3), from the (x, y, 1) of an output pixel to the (x, y) of the input, in pixels to the
    right and downwards of the image's centre; so turns are turns in images that are not square, too.
    """
    height, width = x.shape[-2:]
    half = x.new_tensor([width / 2, height / 2])
    per_half = matrices * torch.cat([half, half.new_ones(1)]) / half[:, None]
    grid = functional.affine_grid(per_half, list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid, padding_mode="border", align_corners=False)


def _resize(images: Tensor, size: int, block: int = 1024) -> Tensor:
    resized = [
        functional.interpolate(
            part.float(), (size, size), mode="bilinear", antialias=True, align_corners=False
        )
        for part in images.split(block)
    ]
    return torch.cat(resized).round_().clamp_(0, 255).to(torch.uint8)
