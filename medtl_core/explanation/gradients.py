"""Explanations from the gradient with respect to the pixels: plain, smoothed, integrated, guided."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from captum.attr import IntegratedGradients
from torch import Tensor, nn

from medtl_core.errors import MedtlError
from medtl_core.explanation.attribution import Attribution
from medtl_core.explanation.baselines import baseline_of
from medtl_core.explanation.untouched import input_gradient


def gradient(network: nn.Module, x: Tensor, target: Tensor) -> Attribution:
    """dy/dx summed over the channels (Simonyan et al. 2014, arXiv 1312.6034, section 3.1, with its sign)."""
    return _per_pixel(input_gradient(network, x, target))


def smoothgrad(
    network: nn.Module, x: Tensor, target: Tensor, *, seed: int, samples: int = 25, noise: float = 0.15
) -> Attribution:
    """Mean gradient over `samples` noisy copies (Smilkov et al. 2017, arXiv 1706.03825, section 3).

    noise: standard deviation as a share of the image's range. All images see the same draws, so that an
    image's map does not depend on the batch that it comes in.
    """
    if samples < 1 or noise <= 0:
        raise MedtlError(f"smoothgrad: {samples} samples, noise {noise}; expected at least 1 and above 0")
    generator = torch.Generator().manual_seed(seed)
    spread = noise * (x.amax((1, 2, 3), keepdim=True) - x.amin((1, 2, 3), keepdim=True))
    total = torch.zeros_like(x)
    for _ in range(samples):
        drawn = torch.randn(x.shape[1:], generator=generator, dtype=x.dtype).to(x.device)
        total += input_gradient(network, x + spread * drawn, target)
    return _per_pixel(total / samples)


def integrated_gradients(
    network: nn.Module, x: Tensor, target: Tensor, *, steps: int = 50, baseline: str = "zeros"
) -> Attribution:
    """Gradients integrated from the baseline to the image (Sundararajan et al. 2017, eq. 1), by captum.

    A map sums to f(x) - f(baseline), up to the error of Gauss-Legendre quadrature with `steps` points.
    """
    if steps < 1:
        raise MedtlError(f"integrated_gradients: {steps} steps, expected at least 1")
    integrated = IntegratedGradients(network).attribute(
        x,
        baselines=baseline_of(x, baseline),
        target=target,
        n_steps=steps,
        internal_batch_size=max(64, len(x)),
    )
    return _per_pixel(integrated)


def guided_backpropagation(network: nn.Module, x: Tensor, target: Tensor) -> Attribution:
    """The gradient, with negative signals stopped at each rectifier (Springenberg et al. 2015, fig. 1).

    Rectifiers are modules `nn.ReLU` and `nn.ReLU6`; captum's own version sees `nn.ReLU` alone. Raises
    MedtlError where there is none: the result would be the plain gradient under another name.
    """
    with _guided(network):
        return _per_pixel(input_gradient(network, x, target))


def _per_pixel(values: Tensor) -> Attribution:
    return Attribution(values.detach().sum(1), (values.shape[-2], values.shape[-1]))


class _GuidedRectifier(torch.autograd.Function):
    """Forward: the rectifier. Backward: its gradient, of which only what is positive passes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, ceiling: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.ceiling = ceiling
        return x.clamp(0, ceiling)

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return outputs[0].clamp(min=0) * ((x > 0) & (x < ctx.ceiling)), None


@contextmanager
def _guided(network: nn.Module) -> Iterator[None]:
    rectifiers = [module for module in network.modules() if isinstance(module, nn.ReLU | nn.ReLU6)]
    if not rectifiers:
        raise MedtlError(
            f"guided_backpropagation: {type(network).__name__} has no nn.ReLU or nn.ReLU6 module to guide, "
            "expected at least one; take integrated_gradients"
        )
    try:
        for module in rectifiers:
            ceiling = 6.0 if isinstance(module, nn.ReLU6) else float("inf")
            vars(module)["forward"] = lambda x, ceiling=ceiling: _GuidedRectifier.apply(x, ceiling)
        yield
    finally:
        for module in rectifiers:
            vars(module).pop("forward", None)
