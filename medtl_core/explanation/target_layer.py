"""The layer that a class activation map reads: chosen by the size of its map, not by its depth alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from medtl_core.backbones.families import units
from medtl_core.backbones.stages import activations
from medtl_core.errors import MedtlError

LEAST_CELLS = 8
"""The smallest side of a map, in cells: on 64 pixels the last layer of EfficientNet-Lite0 has 2 x 2."""


@dataclass(frozen=True)
class TargetLayer:
    """name: of the cut point or module; read: images -> (activation (N, C, h, w), logits (N, K))."""

    name: str
    read: Callable[[Tensor], tuple[Tensor, Tensor]]


def target_layer(network: nn.Module, x: Tensor, layer: str | None = None) -> TargetLayer:
    """The deepest stage whose map has at least 8 x 8 cells for images x, or the module called `layer`.

    Raises MedtlError for a network without convolutions, an unknown family without `layer`, a `layer` that
    does not exist or is never called, and a map that is too coarse.
    """
    if not _convolutions(network):
        raise MedtlError(
            f"class activation map: {type(network).__name__} has no convolution, expected a convolutional "
            "network; take occlusion or kernel_shap"
        )
    return _by_stage(network, x) if layer is None else _by_name(network, x, layer)


def _by_stage(network: nn.Module, x: Tensor) -> TargetLayer:
    try:
        chain = units(network)
    except MedtlError as error:
        raise MedtlError(
            f"class activation map: {type(network).__name__} is of no family with known stages; name a "
            f"layer, such as {_convolutions(network)[-1]!r}"
        ) from error
    stages = sorted({unit.stage for unit in chain})
    with torch.no_grad():
        maps = activations(network, x[:1], "stage")
    fine = [i for i, activation in enumerate(maps) if min(activation.shape[-2:]) >= LEAST_CELLS]
    height, width = x.shape[-2:]
    if not fine:
        first = tuple(maps[0].shape[-2:])
        raise MedtlError(
            f"class activation map: images of {height} x {width} px give {first[0]} x {first[1]} cells at "
            f"the first stage, expected at least {LEAST_CELLS} x {LEAST_CELLS}; take larger images"
        )
    end = max(i for i, unit in enumerate(chain) if unit.stage == stages[fine[-1]])
    below = [step for unit in chain[: end + 1] for step in unit.steps(network)]
    above = [step for unit in chain[end + 1 :] for step in unit.steps(network)]

    def read(images: Tensor) -> tuple[Tensor, Tensor]:
        for step in below:
            images = step(images)
        value = images.clone()  # what follows may work in place
        for step in above:
            value = step(value)
        return images, network.forward_head(value)  # type: ignore[operator]

    return TargetLayer(chain[end].name, read)


def _by_name(network: nn.Module, x: Tensor, layer: str) -> TargetLayer:
    modules = dict(network.named_modules())
    if not layer or layer not in modules:
        raise MedtlError(
            f"class activation map: {type(network).__name__} has no module {layer!r}, expected a name such "
            f"as {_convolutions(network)[-1]!r}"
        )

    def read(images: Tensor) -> tuple[Tensor, Tensor]:
        kept: list[Tensor] = []

        def keep(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
            kept.append(output)
            return output.clone() if isinstance(output, Tensor) else output

        hook = modules[layer].register_forward_hook(keep)
        try:
            logits = network(images)
        finally:
            hook.remove()
        if not kept or not isinstance(kept[-1], Tensor) or kept[-1].ndim != 4:
            raise MedtlError(
                f"class activation map: {layer!r} gives no map (N, C, h, w) in a forward pass, expected a "
                "layer that does; take a convolution"
            )
        return kept[-1], logits

    with torch.no_grad():
        cells = read(x[:1])[0].shape[-2:]
    if min(cells) < LEAST_CELLS:
        raise MedtlError(
            f"class activation map: {layer!r} has a map of {cells[0]} x {cells[1]} cells, expected at least "
            f"{LEAST_CELLS} x {LEAST_CELLS}; take an earlier layer or larger images"
        )
    return TargetLayer(layer, read)


def _convolutions(network: nn.Module) -> list[str]:
    return [name for name, module in network.named_modules() if isinstance(module, nn.Conv2d)]
