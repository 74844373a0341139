"""Segmentation learnt from masks: source-only, or the oracle if the target's masks are given."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from medtl_core.errors import MedtlError
from medtl_core.segmentation.batches import labelled_batches
from medtl_core.segmentation.cases import SegmentationCases
from medtl_core.segmentation.losses import cross_entropy_dice_loss
from medtl_core.segmentation.networks.dar_unet import DARUNet
from medtl_core.segmentation.networks.unet import UNet
from medtl_core.training.looks import Looks

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class SegmentationConfig:
    """How to train: AdamW, the learning rate falling to 0 along a cosine. The same for all arms.

    crop: sides of the random crops, one for each axis; None for whole images. loss: of logits and masks.
    looks: score the network on held-out source masks on the way; their entry in the history is `held_out`.
    """

    steps: int = 200
    batch_size: int = 16
    learning_rate: float = 0.01
    crop: tuple[int, ...] | None = None
    loss: Loss = cross_entropy_dice_loss
    looks: Looks | None = None

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size"):
            if getattr(self, name) < 1:
                raise MedtlError(f"segment: {name} is {getattr(self, name)}, expected at least 1")
        if not 0 < self.learning_rate < math.inf:
            raise MedtlError(f"segment: learning_rate is {self.learning_rate}, expected above 0")


def segment(
    network: UNet | DARUNet, cases: SegmentationCases, config: SegmentationConfig, *, seed: int
) -> list[dict[str, float]]:
    """Train on images with masks; the history has one entry a step, with its `loss`.

    The last weights are kept: no masks choose a step. `seed` alone decides the batches. The network ends in
    evaluation mode. Raises MedtlError for a loss that is not finite.
    """
    device = next(network.parameters()).device
    optimiser, schedule = descent(network.parameters(), config.learning_rate, config.steps)
    batches = labelled_batches(cases, config.batch_size, config.crop, seed)
    history: list[dict[str, Tensor | float]] = []
    network.train()
    for step, (x, masks) in zip(range(1, config.steps + 1), batches, strict=False):
        loss = mask_loss(network.heads(x.to(device)), masks.to(device), config.loss)
        update(optimiser, loss)
        schedule.step()
        history.append({"loss": loss.detach(), **looked(config, network, step)})
    network.eval()
    return finite(history, "segment")


def looked(config: SegmentationConfig, network: nn.Module, step: int) -> dict[str, float]:
    """What the config's looks see after this step, for the history; nothing without any."""
    return {} if config.looks is None else config.looks.at(network, step, config.steps)


def mask_loss(heads: Iterable[Tensor], masks: Tensor, loss: Loss) -> Tensor:
    """Unweighted sum of the loss over the outputs of a network."""
    return torch.stack([loss(head, masks) for head in heads]).sum()


def descent(
    weights: Iterable[nn.Parameter],
    learning_rate: float,
    steps: int,
    betas: tuple[float, float] = (0.9, 0.999),
) -> tuple[torch.optim.Optimizer, LambdaLR]:
    """AdamW, and the schedule that lets its learning rate fall to 0 along a cosine."""
    optimiser = torch.optim.AdamW(weights, lr=learning_rate, betas=betas)
    return optimiser, LambdaLR(optimiser, lambda step: 0.5 * (1 + math.cos(math.pi * step / steps)))


def update(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    """One step down the gradient of `loss`."""
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()


def finite(history: Sequence[Mapping[str, Tensor | float]], method: str) -> list[dict[str, float]]:
    """The history in numbers; MedtlError, with step and name, for the first that is not finite."""
    numbers = [{name: float(value) for name, value in entry.items()} for entry in history]
    for step, entry in enumerate(numbers, start=1):
        for name, value in entry.items():
            if not math.isfinite(value):
                raise MedtlError(
                    f"{method}: {name} is {value} at step {step} of {len(numbers)}; lower the learning rate "
                    "or check the images"
                )
    return numbers
