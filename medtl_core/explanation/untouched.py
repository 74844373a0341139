"""A network that is lent for an explanation and comes back as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from medtl_core.errors import MedtlError


@contextmanager
def untouched(network: nn.Module) -> Iterator[None]:
    """Inside: evaluation mode, frozen parameters, gradients enabled. After it, or after an error: as before.

    The mode of every module, `requires_grad` and `grad` of every parameter are restored. Frozen parameters
    spare the gradients that no explanation asks for.
    """
    modes = [(module, module.training) for module in network.modules()]
    parameters = [(p, p.requires_grad, p.grad) for p in network.parameters()]
    try:
        network.eval()
        for parameter, _, _ in parameters:
            parameter.requires_grad_(False)
        with torch.enable_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training
        for parameter, required, gradient in parameters:
            parameter.requires_grad_(required)
            parameter.grad = gradient


def target_of(network: nn.Module, x: Tensor, target: int | Tensor) -> Tensor:
    """The explained class of each image of x (N, C, H, W), int64 (N,).

    Raises MedtlError for a network that gives no logits (N, K), another number of targets, and a class that
    is out of range.
    """
    with torch.no_grad():
        logits = network(x[:1])
    if logits.ndim != 2:
        raise MedtlError(f"explain: the network gives {tuple(logits.shape)}, expected logits (N, K)")
    chosen = torch.as_tensor(target, device=x.device)
    if chosen.is_floating_point() or tuple(chosen.shape) not in ((), (len(x),)):
        raise MedtlError(
            f"explain: target of shape {tuple(chosen.shape)} and {chosen.dtype}, expected one class or one "
            f"for each of the {len(x)} images, as integers"
        )
    chosen = chosen.to(torch.int64).expand(len(x))
    classes = logits.shape[1]
    if outside := [int(c) for c in chosen if not 0 <= int(c) < classes]:
        raise MedtlError(f"explain: class {outside[0]} is asked for, expected one of 0 to {classes - 1}")
    return chosen


def target_logits(network: nn.Module, x: Tensor, target: Tensor) -> Tensor:
    """The logit (N,) of the explained class of each image: the score that all methods explain."""
    logits: Tensor = network(x)
    return logits.gather(1, target[:, None])[:, 0]


def logits_in_blocks(network: nn.Module, x: Tensor, target: Tensor, block: int = 64) -> Tensor:
    """`target_logits` without gradients, `block` images at a time."""
    with torch.no_grad():
        parts = zip(x.split(block), target.split(block), strict=True)
        return torch.cat([target_logits(network, images, classes) for images, classes in parts])


def input_gradient(network: nn.Module, x: Tensor, target: Tensor) -> Tensor:
    """Gradient (N, C, H, W) of each image's target logit with respect to that image."""
    x = x.detach().requires_grad_(True)
    return torch.autograd.grad(target_logits(network, x, target).sum(), x)[0]
