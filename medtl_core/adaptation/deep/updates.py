"""What all loops of deep adaptation share: how long, how fast, and what happened."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from medtl_core.adaptation.deep.network import AdaptableNetwork
from medtl_core.adaptation.deep.unlabelled import Labelled
from medtl_core.errors import MedtlError
from medtl_core.training.looks import Looks


@dataclass(frozen=True)
class AdaptationConfig:
    """How to train: the same for all methods of a comparison.

    `steps` updates of AdamW, `batch_size` cases of each domain in each of them. The learning rate falls from
    `learning_rate` as (1 + 10 p)^-0.75 with p the progress from 0 to 1 (Ganin et al. 2016, section 5.2.2).
    `looks` score the network on held-out source cases on the way; their entry in the history is `held_out`.
    """

    steps: int = 300
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    looks: Looks | None = None

    def __post_init__(self) -> None:
        rules = {
            "steps": (self.steps >= 1, "at least 1"),
            "batch_size": (self.batch_size >= 2, "at least 2 (batch norm has no variance of one case)"),
            "learning_rate": (0 < self.learning_rate < math.inf, "above 0"),
            "weight_decay": (0 <= self.weight_decay < math.inf, "at least 0"),
        }
        for name, (holds, expected) in rules.items():
            if not holds:
                raise MedtlError(f"adaptation: {name} is {getattr(self, name)}, expected {expected}")


@dataclass(frozen=True)
class Adapted:
    """The adapted network in evaluation mode, and the losses of each step."""

    network: AdaptableNetwork
    history: list[dict[str, float]]


class Updates:
    """An optimiser with its schedule, and the record of the losses that it was given.

    The record has the looks at `watched` as well, where there is such a network and the config asks for them.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        config: AdaptationConfig,
        watched: AdaptableNetwork | None = None,
    ) -> None:
        self._optimiser = torch.optim.AdamW(
            parameters, lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self._schedule = LambdaLR(self._optimiser, lambda step: (1 + 10 * step / config.steps) ** -0.75)
        self._losses: list[dict[str, Tensor]] = []
        self._looked: dict[int, dict[str, float]] = {}
        self._config, self._watched = config, watched

    def step(self, loss: Tensor, **parts: Tensor) -> None:
        """One update that lowers `loss`; `parts` are what it consists of, for the record."""
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self._optimiser.step()
        self._schedule.step()
        # Numbers stay on the device until the end: reading one would wait for it.
        self._losses.append({name: part.detach() for name, part in {"loss": loss, **parts}.items()})
        if self._config.looks is not None and self._watched is not None:
            step = len(self._losses)
            self._looked[step] = self._config.looks.at(self._watched, step, self._config.steps)

    def history(self) -> list[dict[str, float]]:
        """Losses of each step by name. Raises MedtlError at the first step whose loss is not finite."""
        read = [{name: float(part) for name, part in losses.items()} for losses in self._losses]
        for step, losses in enumerate(read, start=1):
            if not math.isfinite(losses["loss"]):
                raise MedtlError(
                    f"adaptation: loss is {losses['loss']} at step {step} of {len(read)}, expected a finite "
                    "one; lower the learning rate or the trade-off"
                )
        return [losses | self._looked.get(step, {}) for step, losses in enumerate(read, start=1)]


@contextmanager
def training_copy(
    network: AdaptableNetwork, sources: Sequence[Labelled], seed: int
) -> Iterator[AdaptableNetwork]:
    """A copy of `network` for `sources`, on their device: in training mode in the block, in evaluation after.

    `seed` alone decides what is drawn from torch's global state within the block (dropout, the weights of a
    discriminator); the state outside is left alone. Raises MedtlError for a label without an output.
    """
    for source in sources:
        highest = int(source.labels.max()) if len(source) else 0
        if highest >= network.num_classes:
            raise MedtlError(
                f"adaptation: a label is {highest}, but the network has {network.num_classes} outputs; build "
                "it with num_classes to match"
            )
    device = sources[0].labels.device if sources else torch.device("cpu")
    trained = copy.deepcopy(network).to(device).train()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield trained
    trained.eval()
