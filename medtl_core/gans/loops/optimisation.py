"""Optimisers, learning rates and moving averages of the loops."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from medtl_core.errors import MedtlError


def adam(*networks: nn.Module, learning_rate: float) -> torch.optim.Adam:
    """Adam with beta .5 and .999 over the weights of all networks (Radford et al. 2016, section 4)."""
    weights = [weight for network in networks for weight in network.parameters()]
    return torch.optim.Adam(weights, lr=learning_rate, betas=(0.5, 0.999))


def update(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    """One step down the gradient of the loss."""
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()


def linear_decay(optimiser: torch.optim.Optimizer, steps: int) -> LambdaLR:
    """The learning rate stays for the first half of the steps, then falls linearly to 0 (Zhu et al. 2017)."""
    return LambdaLR(optimiser, partial(_share, steps=steps))


def moving_average(network: nn.Module, decay: float) -> AveragedModel:
    """The network whose weights are a moving average, which keeps the share `decay` of itself a step.

    Samples come from it: it is steadier than the last weights (Yazıcı et al. 2019). Its first update copies.
    """
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
    average.eval().requires_grad_(False)
    return average


@contextmanager
def frozen(*networks: nn.Module) -> Iterator[None]:
    """Networks that pass gradients on and keep none: the generator's turn."""
    before = [(weight, weight.requires_grad) for network in networks for weight in network.parameters()]
    for weight, _ in before:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight, wanted in before:
            weight.requires_grad_(wanted)


def require_settings(who: str, **settings: float) -> None:
    """MedtlError, with the name, for the first setting that is out of its range."""
    for name, value in settings.items():
        if name in ("steps", "batch_size"):
            holds, expected = value >= 1, "at least 1"
        elif name == "learning_rate":
            holds, expected = 0 < value < math.inf, "above 0"
        elif name in ("ema_decay", "switch_at", "dropout"):
            holds, expected = 0 <= value < 1, "from 0 to below 1"
        else:
            holds, expected = 0 <= value < math.inf, "at least 0"
        if not holds:
            raise MedtlError(f"{who}: {name} is {value}, expected {expected}")


def _share(step: int, steps: int) -> float:
    half = steps // 2
    return 1.0 if step < half else max(0.0, 1 - (step - half) / max(steps - half, 1))
