"""Where each output pixel looks in the input: affine maps and displacements, for images, volumes and masks.

A batch has shape (N, C, H, W) or, for volumes, (N, C, D, H, W). Positions are in the order x, y(, z), in
pixels to the right, downwards (and towards higher slices) of the centre.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


def uniform(n: int, low: float, high: float, like: Tensor, generator: torch.Generator) -> Tensor:
    """One draw from `low` to `high` for each of `n` images: (n,), of the type and on the device of `like`."""
    drawn = torch.rand(n, generator=generator, device=generator.device, dtype=torch.float32)
    return (low + (high - low) * drawn).to(like.device, like.dtype)


def identity_matrices(n: int, dimensions: int, like: Tensor) -> Tensor:
    """Homogeneous maps that change nothing: (n, d + 1, d + 1)."""
    return torch.eye(dimensions + 1, dtype=like.dtype, device=like.device).repeat(n, 1, 1)


def affine_grid(matrices: Tensor, spatial: Sequence[int]) -> Tensor:
    """The sampling grid (N, *spatial, d) of `grid_sample` for maps from output to input positions.

    matrices: (N, d + 1, d + 1), homogeneous, in pixels from the centre. spatial: (H, W) or (D, H, W).
    """
    half = matrices.new_tensor([size / 2 for size in reversed(spatial)])
    per_half = matrices[:, :-1] * torch.cat([half, half.new_ones(1)]) / half[:, None]
    return functional.affine_grid(per_half, [len(matrices), 1, *spatial], align_corners=False)


def displacement_grid(displacement: Tensor) -> Tensor:
    """The sampling grid (N, *spatial, d) under which output pixel p looks at `p + displacement(p)`.

    displacement: (N, d, *spatial), in pixels, components in the order x, y(, z).
    """
    _, dimensions, *spatial = displacement.shape
    half = displacement.new_tensor([size / 2 for size in reversed(spatial)])
    start = affine_grid(identity_matrices(1, dimensions, displacement), spatial)
    return start + displacement.movedim(1, -1) / half


def sample(images: Tensor, grid: Tensor) -> Tensor:
    """Images seen through a sampling grid, linearly interpolated; outside, the border repeats."""
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def sample_masks(masks: Tensor, grid: Tensor) -> Tensor:
    """Masks of any type through the same grid, by nearest neighbour: no value appears that was not there."""
    moved = functional.grid_sample(
        masks.to(grid.dtype), grid, mode="nearest", padding_mode="border", align_corners=False
    )
    return moved.round().to(masks.dtype) if not masks.is_floating_point() else moved.to(masks.dtype)


def where_applied(applied: Tensor, changed: Tensor, kept: Tensor) -> Tensor:
    """`changed` for the images of `applied` (N,), `kept` for the others, bit for bit."""
    return torch.where(applied.view(-1, *[1] * (kept.ndim - 1)), changed, kept)
