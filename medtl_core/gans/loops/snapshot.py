"""What a loop shows of itself on the way."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.utils import make_grid

from medtl_core.errors import MedtlError


@dataclass(frozen=True)
class Snapshot:
    """Images of a moment of training: name -> (M, C, H, W) in 0 to 1, on the CPU, and warning signs.

    `step` counts the updates so far. The same latent vectors or input images are shown every time.
    """

    step: int
    images: dict[str, Tensor]
    signs: tuple[str, ...]

    def grid(self) -> Tensor:
        """One picture (3, H, W): a row for each name, in their order; grey images become three channels."""
        rows = [images.expand(-1, 3, -1, -1) for images in self.images.values()]
        grid: Tensor = make_grid(torch.cat(rows), nrow=len(rows[0]), padding=1)
        return grid


OnSnapshot = Callable[[Snapshot], None]


@dataclass(frozen=True)
class Watching:
    """Calls `on_snapshot` every `every` steps and after the last one, each time with fresh warning signs."""

    on_snapshot: OnSnapshot
    every: int = 100

    def __post_init__(self) -> None:
        if self.every < 1:
            raise MedtlError(f"snapshots: every {self.every} steps, expected at least 1")
