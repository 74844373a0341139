"""One call for every method: where in an image a network finds its evidence for a class."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from medtl_core.errors import MedtlError
from medtl_core.explanation.methods import Method, method_named
from medtl_core.explanation.untouched import target_of, untouched


@dataclass(frozen=True)
class Explanation:
    """Maps of one method for a batch of images.

    maps: float (N, H, W) on the device of the images, in the unit of the logit for attributions; signed:
    whether negative values count against the class; baseline: the name of what stands for no information,
    "" for none; grid: cells (h, w) that are really resolved, for a method on superpixels (their largest
    number, 1); seconds: of the whole call; settings: the seed and the options, to call `explain` again.
    """

    maps: Tensor
    signed: bool
    method: str
    baseline: str
    grid: tuple[int, int]
    seconds: float
    settings: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.maps)


def explain(
    network: nn.Module,
    x: Tensor,
    target: int | Tensor,
    method: str,
    *,
    seed: int = 0,
    batch_size: int = 64,
    **options: Any,
) -> Explanation:
    """Explain the logit of class `target` for images x (N, C, H, W), as the network receives them.

    network: images to logits (N, K); target: one class, or int64 (N,), one for each image; method: one of
    `method_names(controls=True)`; seed: fixes what a method draws, and one image has the same map in every
    batch; batch_size: images at a time; options: those of the method, such as `layer`, `baseline`,
    `samples`, `steps` or `segments`.

    The network is explained in evaluation mode and comes back as it was: mode, hooks and gradients.
    Raises MedtlError for x of another shape, an unknown method or option, a class out of range, and what
    the method itself refuses.
    """
    started = time.perf_counter()
    chosen = method_named(method)
    _check(x, chosen, batch_size, options)
    seeds = {"seed": seed} if chosen.seeded else {}
    segments = options.get("segments")
    found = []
    with untouched(network):
        targets = target_of(network, x, target)
        for first in range(0, len(x), batch_size):
            part = slice(first, first + batch_size)
            if segments is not None:
                options = {**options, "segments": segments[part]}
            found.append(chosen.attribute(network, x[part].detach(), targets[part], **seeds, **options))
    maps = torch.cat([attribution.maps.detach() for attribution in found])
    if not torch.isfinite(maps).all():
        raise MedtlError(f"explain: {method} gives values that are not finite, expected numbers; check x")
    return Explanation(
        maps=maps,
        signed=chosen.signed,
        method=method,
        baseline=str(options.get("baseline", chosen.baseline)),
        grid=max(attribution.grid for attribution in found),
        seconds=time.perf_counter() - started,
        settings={"seed": seed, "batch_size": batch_size, **options}
        | ({} if segments is None else {"segments": segments}),
    )


def _check(x: Tensor, method: Method, batch_size: int, options: dict[str, Any]) -> None:
    if x.ndim != 4 or len(x) == 0 or not x.is_floating_point():
        raise MedtlError(
            f"explain: x is {tuple(x.shape)} of {x.dtype}, expected floating-point images (N, C, H, W), N at "
            "least 1"
        )
    if batch_size < 1:
        raise MedtlError(f"explain: batch_size is {batch_size}, expected at least 1")
    if unknown := sorted(set(options) - set(method.options)):
        known = ", ".join(method.options) or "none"
        raise MedtlError(f"explain: {method.name} has no option {unknown[0]!r}, expected one of: {known}")
