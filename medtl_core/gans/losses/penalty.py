"""Gradient penalties: they keep the slope of the discriminator bounded."""

from collections.abc import Callable

import torch
from torch import Tensor

from medtl_core.errors import MedtlError

Critic = Callable[[Tensor], Tensor]


def gradient_penalty(critic: Critic, real: Tensor, fake: Tensor, generator: torch.Generator) -> Tensor:
    """Mean of (|gradient of D| - 1)^2 at points between pairs of images (Gulrajani et al. 2017, equation 3).

    real, fake: (N, ...), fake without its history. Each point lies on the line between one real and one
    generated image, at a place drawn uniformly from `generator`. Batch norm makes D of one image depend on
    the others and spoils the penalty. MedtlError where the two shapes differ.
    """
    if real.shape != fake.shape:
        raise MedtlError(
            f"gradient penalty: real {tuple(real.shape)} and generated {tuple(fake.shape)}, "
            "expected the same shape; draw as many generated images as real ones"
        )
    share = torch.rand(len(real), generator=generator, device=generator.device).to(real)
    share = share.view(-1, *[1] * (real.ndim - 1))
    points = real + share * (fake.detach() - real)
    slope: Tensor = torch.linalg.vector_norm(_gradient(critic, points).flatten(1), dim=1)
    return (slope - 1).square().mean()


def r1_penalty(critic: Critic, real: Tensor) -> Tensor:
    """Mean of |gradient of D|^2 / 2 at real images (N, ...) (Mescheder et al. 2018, equation 9, gamma 1)."""
    return 0.5 * _gradient(critic, real).flatten(1).square().sum(1).mean()


def _gradient(critic: Critic, x: Tensor) -> Tensor:
    """Gradient of the critic's mean logit of each image, kept differentiable."""
    x = x.detach().requires_grad_(True)
    logits = critic(x).reshape(len(x), -1)
    return torch.autograd.grad(logits.mean(1).sum(), x, create_graph=True)[0]
