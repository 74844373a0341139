"""Gaussian smoothing as matrix products, one for each axis: faster than convolution at these sizes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

TRUNCATE = 4.0  # standard deviations at which the kernel ends, as in scipy.ndimage


def gaussian_matrices(size: int, sigmas: Tensor, *, border: str) -> Tensor:
    """Band matrices (M, size, size) that smooth along one axis by Gaussians of `sigmas` (M,) pixels.

    border: "constant" (zero outside) or "nearest" (the border repeats), the modes of
    `scipy.ndimage.gaussian_filter`. The kernel ends at 4 standard deviations of the widest one.
    """
    radius = int(TRUNCATE * float(sigmas.max()) + 0.5)
    row = torch.arange(size, device=sigmas.device)
    column = torch.arange(-radius, size + radius, device=sigmas.device)
    distance = (row[:, None] - column[None, :]).to(sigmas.dtype)
    # A standard deviation of nearly nothing leaves a one on the diagonal.
    weights = torch.exp(-0.5 * (distance / sigmas.clamp_min(1e-3)[:, None, None]) ** 2)
    weights = weights * (distance.abs() <= radius)
    inside = weights[:, :, radius : radius + size].clone()
    if border == "nearest":
        inside[:, :, 0] += weights[:, :, :radius].sum(-1)
        inside[:, :, -1] += weights[:, :, radius + size :].sum(-1)
    return inside / weights.sum(-1, keepdim=True)


def along_axes(x: Tensor, matrices: Sequence[Tensor]) -> Tensor:
    """x (N, C, *spatial) with each spatial axis multiplied by its matrices (N or 1, size out, size in)."""
    *others, rows, columns = matrices
    x = rows[:, None] @ x @ columns.mT[:, None] if x.ndim == 4 else _in_slices(x, rows, columns)
    for matrix in others:  # the slices of a volume
        x = torch.einsum("nij,ncjhw->ncihw", matrix.expand(len(x), -1, -1), x)
    return x


def _in_slices(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    return rows[:, None, None] @ x @ columns.mT[:, None, None]
