"""Explanations that know nothing of the network: what every method has to beat."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from medtl_core.explanation.attribution import Attribution


def random_map(network: nn.Module, x: Tensor, target: Tensor, *, seed: int) -> Attribution:
    """Uniform noise in 0 to 1, the same for each image."""
    drawn = torch.rand(x.shape[-2:], generator=torch.Generator().manual_seed(seed), dtype=x.dtype)
    return Attribution(drawn.to(x.device).expand(len(x), -1, -1).clone(), _pixels(x))


def sobel_edges(network: nn.Module, x: Tensor, target: Tensor) -> Attribution:
    """Length of the Sobel gradient of the mean over channels; the border is repeated."""
    across = x.new_tensor([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8
    kernels = torch.stack([across, across.T])[:, None]
    grey = functional.pad(x.mean(1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    return Attribution(functional.conv2d(grey, kernels).square().sum(1).sqrt(), _pixels(x))


def centre(network: nn.Module, x: Tensor, target: Tensor) -> Attribution:
    """A Gaussian in the middle of the image, with a standard deviation of a quarter of each side."""
    rows, columns = (
        ((torch.arange(n, dtype=x.dtype, device=x.device) + 0.5) / n - 0.5) / 0.25 for n in x.shape[-2:]
    )
    bell = torch.exp(-(rows[:, None].square() + columns.square()) / 2)
    return Attribution(bell.expand(len(x), -1, -1).clone(), _pixels(x))


def _pixels(x: Tensor) -> tuple[int, int]:
    return x.shape[-2], x.shape[-1]
