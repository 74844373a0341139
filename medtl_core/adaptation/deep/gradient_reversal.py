"""Gradient reversal, its schedule, and the network that tells two domains apart (Ganin et al., JMLR 2016)."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, coefficient: float) -> Tensor:
        ctx.coefficient = coefficient
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.coefficient * gradients[0], None


def reverse_gradient(x: Tensor, coefficient: float = 1.0) -> Tensor:
    """x as it is; on the way back the gradient is multiplied by -`coefficient` (section 4.3)."""
    reversed_x: Tensor = _Reversal.apply(x, coefficient)
    return reversed_x


def reversal_coefficient(progress: float) -> float:
    """2 / (1 + exp(-10 p)) - 1: from 0 at the start (p = 0) to nearly 1 at the end (p = 1)."""
    return 2 / (1 + math.exp(-10 * progress)) - 1


class DomainDiscriminator(nn.Sequential):
    """Features (N, D) -> logits (N,) of coming from the source, with one hidden layer."""

    def __init__(self, num_features: int, width: int = 64) -> None:
        super().__init__(nn.Linear(num_features, width), nn.ReLU(), nn.Linear(width, 1), nn.Flatten(0))


def domain_loss(of_source: Tensor, of_target: Tensor) -> Tensor:
    """Binary cross-entropy of a discriminator's logits, source 1 and target 0, each domain weighing half."""
    source = functional.binary_cross_entropy_with_logits(of_source, torch.ones_like(of_source))
    target = functional.binary_cross_entropy_with_logits(of_target, torch.zeros_like(of_target))
    return (source + target) / 2
