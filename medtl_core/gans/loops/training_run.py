"""What all loops share: seeds, batches, history, checkpoints to resume from, and a look at the images."""

import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from medtl_core.errors import MedtlError
from medtl_core.gans.domain_images import outer_images
from medtl_core.gans.loops.checkpoint import load_checkpoint, save_checkpoint
from medtl_core.gans.loops.snapshot import Snapshot, Watching

FLUSH = 64  # steps whose losses stay on the device: reading one would wait for it
View = Callable[[], tuple[dict[str, Tensor], list[str]]]
Network = TypeVar("Network", bound=nn.Module)


class Stateful(Protocol):
    """A network, an optimiser or a pool: what a checkpoint can keep."""

    def state_dict(self) -> Any: ...

    def load_state_dict(self, state: Any) -> Any: ...


@dataclass(frozen=True)
class GANResult(Generic[Network]):
    """A trained generator, or pair of them, in evaluation mode.

    `history` has one entry a step: `step` from 1 and the losses. `signs` are the warning signs after the
    last step, one line each; none is the good case.
    """

    generator: Network
    history: list[dict[str, float]]
    signs: tuple[str, ...]


class TrainingRun:
    """A seeded, resumable row of steps. Use it as a context: the global random state comes back afterwards.

    who: names the loop in errors. parts: everything whose state a checkpoint keeps. checkpoint: file to
    resume from, written every `checkpoint_every` steps and at the end. identity: what makes it this run and
    no other; a checkpoint of another run is refused.
    """

    def __init__(
        self,
        who: str,
        parts: Mapping[str, Stateful],
        *,
        steps: int,
        seed: int,
        device: torch.device,
        identity: str,
        checkpoint: Path | None,
        checkpoint_every: int,
    ) -> None:
        if checkpoint_every < 1:
            raise MedtlError(f"{who}: a checkpoint every {checkpoint_every} steps, expected at least 1")
        self.who, self.parts, self.total, self.device = who, parts, steps, device
        self.identity = f"{who}, seed {seed}, {identity}"
        self.checkpoint, self.checkpoint_every = checkpoint, checkpoint_every
        self.seed, self.step = seed, 0
        self.generator = torch.Generator(device).manual_seed(seed)
        self.history: list[dict[str, float]] = []
        self._waiting: list[dict[str, Tensor]] = []
        self._orders: dict[int, tuple[int, Tensor]] = {}
        self._context = ExitStack()

    def __enter__(self) -> "TrainingRun":
        devices = [self.device] if self.device.type == "cuda" else []
        self._context.enter_context(torch.random.fork_rng(devices=devices))
        torch.manual_seed(self.seed)
        if self.checkpoint is not None and self.checkpoint.exists():
            self.step, self.history = load_checkpoint(
                self.checkpoint, self.identity, self.parts, self.generator
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context.close()

    def steps(self, watching: Watching | None, view: View) -> Iterator[int]:
        """Numbers of the steps that are left, from 0. view: images of the moment and their warning signs."""
        while self.step < self.total:
            yield self.step
            self.step += 1
            last = self.step == self.total
            due = self.checkpoint is not None and (last or self.step % self.checkpoint_every == 0)
            if last or due or len(self._waiting) >= FLUSH:
                self._flush()
            if due and self.checkpoint is not None:
                save_checkpoint(
                    self.checkpoint, self.identity, self.parts, self.generator, self.step, self.history
                )
            if watching is not None and (last or self.step % watching.every == 0):
                self._flush()
                images, signs = view()
                shown = {name: outer_images(value).cpu() for name, value in images.items()}
                watching.on_snapshot(Snapshot(self.step, shown, tuple(signs)))

    def batch(self, count: int, size: int, stream: int = 0) -> Tensor:
        """Positions (size,) of this step's batch of `count` cases, without replacement within an epoch.

        Cases that fill no batch are left out of their epoch. `stream` gives each set its own order. Seed and
        step alone decide the batch, so that a resumed run goes on in the same order.
        """
        epoch, place = divmod(self.step, count // size)
        if self._orders.get(stream, (-1, None))[0] != epoch:
            order = np.random.default_rng([self.seed, stream, epoch]).permutation(count)
            self._orders[stream] = (epoch, torch.from_numpy(order).to(self.device))
        return self._orders[stream][1][place * size : (place + 1) * size]

    def latent(self, count: int, dimension: int) -> Tensor:
        """Latent vectors (count, dimension), uniform in -1 to 1 (Radford et al. 2016)."""
        return torch.rand(count, dimension, generator=self.generator, device=self.device) * 2 - 1

    def half_precision(self, wanted: bool) -> AbstractContextManager[Any]:
        """Forward passes in bfloat16 where wanted."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=wanted)

    def record(self, **losses: Tensor) -> None:
        """Note the losses of this step."""
        self._waiting.append({name: loss.detach() for name, loss in losses.items()})

    def _flush(self) -> None:
        """Bring losses to the history; MedtlError naming the first step at which one is not finite."""
        if not self._waiting:
            return
        names = list(self._waiting[0])
        table = torch.stack([torch.stack([row[name].float() for name in names]) for row in self._waiting])
        for values in table.tolist():
            step = len(self.history) + 1
            entry = dict(zip(names, values, strict=True))
            for name, value in entry.items():
                if not abs(value) < float("inf"):
                    raise MedtlError(
                        f"{self.who}: loss of {name} is {value} at step {step}, expected a finite one; "
                        "lower the learning rate or switch bfloat16 off"
                    )
            self.history.append({"step": step, **entry})
        self._waiting.clear()


def data_identity(*tensors: Tensor) -> str:
    """Shape and checksum of data, for the identity of a run."""
    parts = []
    for tensor in tensors:
        checksum = zlib.crc32(tensor.detach().cpu().contiguous().numpy().tobytes())
        parts.append(f"{tuple(tensor.shape)}:{checksum:08x}")
    return " ".join(parts)
