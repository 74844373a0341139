"""Networks by their timm names, with a fresh head, pretrained or from random weights.

Beside timm's networks there is "googlenet", which timm lacks. Every network has global average pooling and
one linear head, so that arms differ in the backbone and never in the head: VGG is built without the two
hidden layers of its classifier (4,096 units each), which would fix its input at 224 pixels and hold most of
its parameters.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import timm
import torch
from timm.layers.classifier import ClassifierHead
from timm.models.resnet import ResNet
from timm.models.vgg import VGG
from torch import Tensor, nn

from medtl_core.backbones.googlenet import GoogLeNet
from medtl_core.backbones.weights import find_weights, load_weights, weights_file
from medtl_core.data.tensors import Normalisation
from medtl_core.errors import MedtlError
from medtl_core.inputs import used


@dataclass(frozen=True)
class Backbone:
    """A network for images (N, 3, H, W) -> logits (N, K), and what its inputs must look like.

    weights: where they come from: "random", "file ...", "package ..." or "hub ...".
    """

    name: str
    network: nn.Module
    normalisation: Normalisation
    weights: str


def build(
    name: str = "tf_efficientnet_lite0",
    *,
    num_classes: int,
    pretrained: bool,
    small_input: bool = False,
    seed: int | None = None,
) -> Backbone:
    """The network `name` with a fresh linear head of `num_classes` outputs, in channels_last memory format.

    name: a timm name; "resnet18.chest" is a ResNet-18 with the weights of `resnet18.chest.safetensors` in
    MEDTL_WEIGHTS, as `medtl pretrain` writes them.
    seed: fixes the head, and all of a random initialisation, without touching the global random state; for
    one seed a pretrained and a random network get the same head. None draws from the global random state.
    small_input: a stem for ResNets at 28 to 32 pixels that keeps the resolution (He et al. 2016, section
    4.2): stride 1 and no max-pooling, with a 3 x 3 convolution in a random network; a pretrained one keeps
    its 7 x 7 kernels.

    The head is drawn as torch draws a linear layer, uniform within 1/sqrt(features), in every family: timm's
    EfficientNets draw within 1/sqrt(classes), which for two classes starts with logits far from zero.

    Raises MedtlError for an unknown name, fewer than two classes, a small-input stem on anything but a plain
    ResNet, and pretrained weights that are not to be had or do not fit.
    """
    _check_name(name)
    if num_classes < 2:
        raise MedtlError(f"backbone {name}: num_classes is {num_classes}, expected at least 2")
    source = find_weights(name) if pretrained else None
    if pretrained:
        used(weights_source, name)
    with _seeded(seed):
        network = _create(name, num_classes)
        if small_input:
            _keep_resolution(network, name, pretrained)
        head = head_of(network)
        head.reset_parameters()
    if source is None:
        config: Any = network.pretrained_cfg
        normalisation = Normalisation(tuple(config["mean"]), tuple(config["std"]))
    else:
        normalisation = load_weights(network, name, _path_of(head, network), source)
    network = network.to(memory_format=torch.channels_last)
    return Backbone(name, network, normalisation, source.text if source else "random")


def weights_source(name: str) -> str:
    """Where pretrained weights of `name` would come from, such as "file vgg16.safetensors sha256:...".

    Names the content too (checksum or version), so it can stand in a record or a key. Touches the network
    only if neither a file nor a package has the weights. Raises MedtlError if no place has them.
    """
    _check_name(name)
    return find_weights(name).text


def head_of(network: nn.Module) -> nn.Linear:
    """The linear head: `head_of(n)(pooled_features(n, x)) == n(x)` in eval mode. MedtlError if none."""
    classifier: Any = getattr(network, "get_classifier", lambda: None)
    head = classifier()
    if not isinstance(head, nn.Linear):
        raise MedtlError(
            f"head: {type(network).__name__} ends in {type(head).__name__}, expected a linear head; "
            "choose another network"
        )
    return head


def pooled_features(network: nn.Module, x: Tensor) -> Tensor:
    """What the head receives: images (N, 3, H, W) -> pooled features (N, D), in the network's mode."""
    body: Any = network
    return body.forward_head(body.forward_features(x), pre_logits=True)


def architecture_of(name: str) -> str:
    """The name without the tag that tells weights apart: "resnet18.a1_in1k" -> "resnet18"."""
    return name.partition(".")[0]


@functools.cache
def _published_weights() -> frozenset[str]:
    return frozenset(timm.list_pretrained())


def _check_name(name: str) -> None:
    architecture = architecture_of(name)
    tag_is_known = name == architecture or name in _published_weights() or weights_file(name) is not None
    if tag_is_known and (architecture == "googlenet" or timm.is_model(architecture)):
        return
    near = difflib.get_close_matches(name, ["googlenet", *timm.list_models()], n=3)
    hint = f"; near it: {', '.join(near)}" if near else ""
    raise MedtlError(f"backbone: found {name!r}, expected a name of timm.list_models() or googlenet{hint}")


@contextmanager
def _seeded(seed: int | None) -> Iterator[None]:
    if seed is None:
        yield
        return
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would change the random state of the GPU as well
        torch.default_generator.manual_seed(seed)
        yield


def _create(name: str, num_classes: int) -> nn.Module:
    if architecture_of(name) == "googlenet":
        return GoogLeNet(num_classes)
    # VGG's hidden layers are dropped below: one unit wide they cost no time to make
    options: dict[str, Any] = {"mlp_ratio": 1 / 4096} if name.startswith("vgg") else {}
    architecture = name if name in _published_weights() else architecture_of(name)
    network: Any = timm.create_model(architecture, pretrained=False, num_classes=num_classes, **options)
    if isinstance(network, VGG):
        network.add_module("pre_logits", nn.Identity())
        network.add_module("head", ClassifierHead(network.num_features, num_classes))
        network.head_hidden_size = network.num_features
    return network


def _keep_resolution(network: nn.Module, name: str, pretrained: bool) -> None:
    stem = getattr(network, "conv1", None)
    if not isinstance(network, ResNet) or not isinstance(stem, nn.Conv2d):
        raise MedtlError(
            f"backbone {name}: small_input is for ResNets with a plain 7 x 7 stem, "
            f"found {type(network).__name__}; build it with small_input=False"
        )
    if pretrained:
        stem.stride = (1, 1)
    else:
        stem = nn.Conv2d(stem.in_channels, stem.out_channels, 3, stride=1, padding=1, bias=False)
        nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
        network.add_module("conv1", stem)
    network.add_module("maxpool", nn.Identity())


def _path_of(module: nn.Module, network: nn.Module) -> str:
    return next(path for path, candidate in network.named_modules() if candidate is module)
