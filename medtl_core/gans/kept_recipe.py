"""What the recipe of a kept generator consists of: networks, their training, and the looks of its film."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, from_numpy, nn

from medtl_core.gans import loops

SIZE, SEED = 32, 7

Film = dict[str, Tensor]  # names of rows -> images (M, C, H, W) in 0 to 1
Picture = Callable[[loops.Snapshot], Mapping[str, Tensor]]


@dataclass(frozen=True)
class Recipe:
    """How the networks of a family are made.

    build: the networks that are kept, untrained; train: the same after training, and the film of it; looks:
    the steps that the film shows, the last one being that of the kept networks; redraw: networks in
    evaluation mode and film -> the rows of the last look, made again; headings: names over equal groups of
    the film's columns.
    """

    build: Callable[[], nn.Module]
    train: Callable[[], tuple[nn.Module, Film]]
    looks: tuple[int, ...]
    redraw: Callable[[nn.Module, Film], Film]
    headings: tuple[str, ...] = ()


def look(step: int, what: str = "") -> str:
    """Name of the row of a film that shows `what` after a step."""
    return f"{what}, step {step:,}" if what else f"step {step:,}"


def filming(film: Film, looks: tuple[int, ...], picture: Picture) -> loops.Watching:
    """Adds the rows of each look, as `picture` draws them, to the film."""

    def add(snapshot: loops.Snapshot) -> None:
        if snapshot.step in looks:
            film.update({look(snapshot.step, what): images for what, images in picture(snapshot).items()})

    return loops.Watching(add, every=math.gcd(*looks))


def grey(images: NDArray[np.uint8]) -> Tensor:
    """Grey images (N, H, W) -> float (N, 1, H, W) in 0 to 1."""
    return from_numpy(images).float()[:, None] / 255
