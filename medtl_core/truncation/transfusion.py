"""TransFusion networks: pretrained up to a cut point, random and slimmer above (Raghu et al. 2019).

The baseline "TF" of Peng et al. 2022 (arXiv 2106.05152), whose ResNets have half their width above the cut.
"""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import timm
import torch
from timm.models.resnet import ResNet
from torch import nn

from medtl_core.backbones.families import units
from medtl_core.backbones.stages import CutPoint, position_of
from medtl_core.backbones.zoo import Backbone, architecture_of, build, head_of
from medtl_core.errors import MedtlError


def transfuse(
    backbone: Backbone,
    cut: CutPoint | str,
    *,
    num_classes: int,
    width: float = 0.5,
    seed: int | None = None,
) -> Backbone:
    """A copy of `backbone` whose units above `cut`, and whose head, are drawn anew from `seed`.

    ResNets have their stages above the cut's own made `width` (above 0 to 1) times as wide; the rest of the
    cut's own stage keeps its width, since residual sums need equal channels. Other families are drawn anew
    at full width: their units are not made to be narrowed one stage at a time.

    Raises MedtlError for a cut that does not exist (listing those that do) and a width out of range.
    """
    if not 0 < width <= 1:
        raise MedtlError(f"transfuse: width is {width}, expected above 0 and at most 1")
    network: Any = copy.deepcopy(backbone.network).requires_grad_(True)
    last = position_of(network, cut if isinstance(cut, str) else cut.name)
    stage = units(network)[last].stage
    donor = _random_network(backbone.name, network, stage, num_classes, width, seed)
    for unit in units(network)[last + 1 :]:
        for path in unit.modules:
            network.set_submodule(path, donor.get_submodule(path))
    head = next(path for path, module in network.named_modules() if module is head_of(network))
    network.set_submodule(head, head_of(donor))
    network.num_features = donor.num_features
    device = next(backbone.network.parameters()).device
    network.train(backbone.network.training).to(device).to(memory_format=torch.channels_last)
    return dataclasses.replace(backbone, name=f"{backbone.name}+random", network=network)


def _random_network(
    name: str, network: nn.Module, cut_stage: int, num_classes: int, width: float, seed: int | None
) -> Any:
    """A random network of that architecture, slim above `cut_stage` where it is a ResNet."""
    if not isinstance(network, ResNet) or width == 1:
        return build(architecture_of(name), num_classes=num_classes, pretrained=False, seed=seed).network
    channels = [
        planes if stage <= cut_stage else max(1, round(planes * width))
        for stage, planes in enumerate((64, 128, 256, 512), start=1)
    ]
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.default_generator.manual_seed(seed)
        return timm.create_model(
            architecture_of(name), pretrained=False, num_classes=num_classes, channels=channels
        )
