"""Deep augmentation: the place where a generator of images plugs in."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from medtl_core.augmentation.sampling import uniform, where_applied
from medtl_core.errors import MedtlError

Sampler = Callable[[Tensor, torch.Generator], Tensor]
LARGEST_SHARE = 0.5


@dataclass(frozen=True, repr=False)
class Generator:
    """A source of images of given classes.

    sample: `(labels, generator) -> images`, the images float (n, C, H, W) in 0 to 1 for the labels. labels
    are int64 (n,), or with `soft` float (n, K), the targets as they stand in the batch. name: what it is,
    for the key of a trial: a new generator needs a new name.
    """

    name: str
    sample: Sampler
    soft: bool = False

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w.:@+-]+", self.name):
            raise MedtlError(f"generator: name {self.name!r}, expected letters, digits and ._:@+- only")

    def __repr__(self) -> str:
        return f"Generator(name={self.name!r}, soft={self.soft})"


def generated(
    images: Tensor,
    targets: Tensor,
    applied: Tensor,
    strength: float,
    generator: torch.Generator,
    source: Generator,
) -> tuple[Tensor, Tensor]:
    """Each image of `applied` (N,) is replaced, with probability `strength` / 2, by one of its class.

    With hard labels the class is the likeliest one of the target, and the target becomes that class alone;
    with soft labels the target stays. MedtlError where the generator's images differ in shape.
    """
    replaced = applied & (uniform(len(images), 0, 1, images, generator) < LARGEST_SHARE * strength)
    if not replaced.any():
        return images, targets
    labels = targets if source.soft else functional.one_hot(targets.argmax(1), targets.shape[1]).to(targets)
    asked = labels[replaced]
    made = source.sample(asked if source.soft else asked.argmax(1), generator)
    if made.shape != (len(asked), *images.shape[1:]):
        raise MedtlError(
            f"generator {source.name}: images of shape {tuple(made.shape)}, "
            f"expected {(len(asked), *images.shape[1:])}"
        )
    images = images.clone()
    images[replaced] = made.to(images)
    return images, where_applied(replaced, labels, targets)
