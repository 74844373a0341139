"""Class activation maps: the maps of one layer, weighed by what they do for a class."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from medtl_core.explanation.attribution import Attribution
from medtl_core.explanation.target_layer import target_layer
from medtl_core.explanation.untouched import logits_in_blocks


def grad_cam(network: nn.Module, x: Tensor, target: Tensor, *, layer: str | None = None) -> Attribution:
    """ReLU(sum_k a_k A_k) with a_k the mean over the map of dy/dA_k (Selvaraju et al. 2017, eq. 1 and 2)."""
    activation, gradients = _read(network, x, target, layer)
    return _enlarged((gradients.mean((2, 3), keepdim=True) * activation).sum(1), x)


def hires_cam(network: nn.Module, x: Tensor, target: Tensor, *, layer: str | None = None) -> Attribution:
    """ReLU(sum_k dy/dA_k * A_k), cell by cell (Draelos & Carin 2020, arXiv 2011.08891, eq. 6)."""
    activation, gradients = _read(network, x, target, layer)
    return _enlarged((gradients * activation).sum(1), x)


def score_cam(
    network: nn.Module, x: Tensor, target: Tensor, *, layer: str | None = None, block: int = 128
) -> Attribution:
    """Maps weighed by the class score of the image seen through each (Wang et al. 2020, eq. 3 to 6).

    The weights are the softmax, over the channels, of f(x * H_k) - f(0), where H_k is map k enlarged and
    brought to 0 to 1. One forward pass for each channel, `block` at a time.
    """
    with torch.no_grad():
        activation, _ = target_layer(network, x, layer).read(x)
        maps = []
        for image, label, channels in zip(x, target, activation, strict=True):
            large = functional.interpolate(channels[:, None], x.shape[-2:], mode="bilinear")
            low, high = large.amin((2, 3), keepdim=True), large.amax((2, 3), keepdim=True)
            seen = image * ((large - low) / (high - low).clamp_min(torch.finfo(x.dtype).tiny))
            scores = logits_in_blocks(network, seen, label.expand(len(seen)), block)
            # f(0) is the same for all channels: softmax does not see it.
            maps.append((scores.softmax(0)[:, None, None] * channels).sum(0))
        return _enlarged(torch.stack(maps), x)


def _read(network: nn.Module, x: Tensor, target: Tensor, layer: str | None) -> tuple[Tensor, Tensor]:
    x = x.detach().requires_grad_(True)  # with frozen parameters, nothing else starts a graph
    activation, logits = target_layer(network, x, layer).read(x)
    gradients = torch.autograd.grad(logits.gather(1, target[:, None]).sum(), activation)[0]
    return activation.detach(), gradients


def _enlarged(coarse: Tensor, x: Tensor) -> Attribution:
    rectified = coarse.clamp(min=0)
    maps = functional.interpolate(rectified[:, None], x.shape[-2:], mode="bilinear")[:, 0]
    return Attribution(maps, (coarse.shape[-2], coarse.shape[-1]))
