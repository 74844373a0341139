"""Families of networks as chains of units.

The first unit takes the images, each next one takes the output of the one before, and the last one's output
is what global pooling and the head receive. Where a network pools between two units, the pooling belongs to
the unit before.

| family | unit | stages |
|---|---|---|
| ResNet | residual block | stem, layer 1 to 4 |
| VGG | convolution with its ReLU | five, each ending with its max-pooling |
| Inception v3 | convolution of the stem, Inception module | stem, Mixed 5, 6, 7 |
| GoogLeNet | convolution of the stem, Inception module | stem, Inception 3, 4, 5 |
| DenseNet | dense layer concatenated with its input, transition | stem, four dense blocks |
| MobileNetV2, EfficientNet(-Lite) | inverted residual block | stem, stages of blocks, head convolution |
| Xception, aligned Xception | block of separable convolutions | stem, entry, middle and exit flow |
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from timm.models.densenet import DenseNet
from timm.models.efficientnet import EfficientNet
from timm.models.inception_v3 import InceptionV3
from timm.models.resnet import ResNet
from timm.models.vgg import VGG
from timm.models.xception import Xception
from timm.models.xception_aligned import XceptionAligned
from torch import Tensor, nn

from medtl_core.backbones.googlenet import GoogLeNet
from medtl_core.errors import MedtlError


@dataclass(frozen=True)
class Unit:
    """One link of the chain: dotted paths of modules that run one after the other.

    name: what tables call it; stage: from 0, never falling along the chain; dense: the input is
    concatenated with what the module returns.
    """

    name: str
    stage: int
    modules: tuple[str, ...]
    dense: bool = False

    def steps(self, network: nn.Module) -> list[nn.Module]:
        """The modules to call one after the other; they share their parameters with `network`."""
        modules = [network.get_submodule(path) for path in self.modules]
        return [DenseStep(module) for module in modules] if self.dense else modules


class DenseStep(nn.Module):
    """A dense layer as a map between feature maps: x -> [x, layer(x)] (Huang et al. 2017, eq. 2)."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer
        self.training = layer.training

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C + growth rate, h, w)."""
        return torch.cat([x, self.layer(x)], dim=1)


class Chain(nn.Module):
    """A network that says itself what its units are, whatever family they come from."""

    chain: tuple[Unit, ...]


def units(network: nn.Module) -> list[Unit]:
    """The chain of units of `network`. Raises MedtlError for a network of an unknown family."""
    if isinstance(network, Chain):
        return list(network.chain)
    for family, describe in _FAMILIES.items():
        if isinstance(network, family):
            return list(describe(network))
    known = ", ".join(family.__name__ for family in _FAMILIES)
    raise MedtlError(
        f"stages: the network is a {type(network).__name__}, expected one of the families {known}"
    )


def _children(network: nn.Module, path: str) -> list[tuple[str, nn.Module]]:
    return list(network.get_submodule(path).named_children())


def _resnet(network: nn.Module) -> Iterator[Unit]:
    yield Unit("stem", 0, ("conv1", "bn1", "act1", "maxpool"))
    for stage in (1, 2, 3, 4):
        for block, _ in _children(network, f"layer{stage}"):
            yield Unit(f"layer{stage}.{block}", stage, (f"layer{stage}.{block}",))


def _efficientnet(network: nn.Module) -> Iterator[Unit]:
    yield Unit("stem", 0, ("conv_stem", "bn1"))
    stages = _children(network, "blocks")
    for number, (stage, blocks) in enumerate(stages, start=1):
        for block, _ in blocks.named_children():
            yield Unit(f"blocks.{stage}.{block}", number, (f"blocks.{stage}.{block}",))
    yield Unit("conv_head", len(stages) + 1, ("conv_head", "bn2"))


def _vgg(network: nn.Module) -> Iterator[Unit]:
    groups: list[list[str]] = []
    pools: set[str] = set()
    for child, module in _children(network, "features"):
        if isinstance(module, nn.Conv2d):
            groups.append([])
        if isinstance(module, nn.MaxPool2d):
            pools.add(f"features.{child}")
        groups[-1].append(f"features.{child}")
    stage, place = 0, 1
    for group in groups:
        yield Unit(f"conv{stage + 1}_{place}", stage, tuple(group))
        stage, place = (stage + 1, 1) if group[-1] in pools else (stage, place + 1)


def _densenet(network: nn.Module) -> Iterator[Unit]:
    children = [(child, f"features.{child}") for child, _ in _children(network, "features")]
    first_block = next(i for i, (child, _) in enumerate(children) if child.startswith("denseblock"))
    yield Unit("stem", 0, tuple(path for _, path in children[:first_block]))
    stage = 0
    for child, path in children[first_block:]:
        if child.startswith("denseblock"):
            stage += 1
            for layer, _ in _children(network, path):
                yield Unit(f"{child}.{layer}", stage, (f"{path}.{layer}",), dense=True)
        else:
            yield Unit(child, stage, (path,))


def _aligned_xception(network: nn.Module) -> Iterator[Unit]:
    for child, _ in _children(network, "stem"):
        yield Unit(f"stem.{child}", 0, (f"stem.{child}",))
    blocks = _children(network, "blocks")
    # the middle flow is the run of blocks whose shortcut is the identity; the exit flow follows it
    plain = [not any("shortcut" in name for name, _ in block.named_parameters()) for _, block in blocks]
    middle = plain.index(True)
    exit_flow = middle + plain[middle:].index(False)
    for number, (child, _) in enumerate(blocks):
        stage = 1 if number < middle else 2 if number < exit_flow else 3
        last = ("act",) if number == len(blocks) - 1 else ()
        yield Unit(f"blocks.{child}", stage, (f"blocks.{child}", *last))


def _listed(*stages: str) -> Callable[[nn.Module], Iterator[Unit]]:
    """A network with fixed names: a string per stage, units parted by spaces, modules of a unit by +."""

    def describe(network: nn.Module) -> Iterator[Unit]:
        for number, stage in enumerate(stages):
            for unit in stage.split():
                modules = tuple(unit.split("+"))
                yield Unit(modules[0], number, modules)

    return describe


_inception_v3 = _listed(
    "Conv2d_1a_3x3 Conv2d_2a_3x3 Conv2d_2b_3x3+Pool1 Conv2d_3b_1x1 Conv2d_4a_3x3+Pool2",
    "Mixed_5b Mixed_5c Mixed_5d",
    "Mixed_6a Mixed_6b Mixed_6c Mixed_6d Mixed_6e",
    "Mixed_7a Mixed_7b Mixed_7c",
)
_googlenet = _listed(
    "conv1+maxpool1 conv2 conv3+maxpool2",
    "inception3a inception3b+maxpool3",
    "inception4a inception4b inception4c inception4d inception4e+maxpool4",
    "inception5a inception5b",
)
_xception = _listed(
    "conv1+bn1+act1 conv2+bn2+act2",
    "block1 block2 block3",
    "block4 block5 block6 block7 block8 block9 block10 block11",
    "block12 conv3+bn3+act3 conv4+bn4+act4",
)

_FAMILIES: dict[type[nn.Module], Callable[[nn.Module], Iterator[Unit]]] = {
    ResNet: _resnet,
    VGG: _vgg,
    InceptionV3: _inception_v3,
    GoogLeNet: _googlenet,
    DenseNet: _densenet,
    EfficientNet: _efficientnet,
    Xception: _xception,
    XceptionAligned: _aligned_xception,
}
