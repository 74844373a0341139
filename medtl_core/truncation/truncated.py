"""Truncated networks: the lower units of a backbone with a head of their own, and nothing else.

TruncatedTL (Peng et al. 2022, arXiv 2106.05152) keeps the units of a pretrained network up to a cut point,
drops those above, puts a linear head on the pooled activation and trains all that is left. `truncate` makes
such a network; `Truncation` is the recipe as a value, together with the methods that it is compared with.
"""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from medtl_core.backbones.families import Chain, Unit, units
from medtl_core.backbones.stages import CutPoint, position_of
from medtl_core.backbones.zoo import Backbone
from medtl_core.errors import MedtlError
from medtl_core.training.policies import FULL, Policy, frozen_below
from medtl_core.truncation.transfusion import transfuse

Head = Literal["pooled", "flattened"]
Above = Literal["discarded", "random", "kept"]
_LEAST_PIXELS = 96  # every family takes images of this size; channels do not depend on it


class TruncatedNetwork(Chain):
    """Units one after the other, then a linear head on the pooled or on the flattened activation.

    It answers to timm's names (`forward_features`, `forward_head`, `get_classifier`) and is a chain of cut
    points as the network that it was cut from, so policies, sweeps and counts work on it as well.
    """

    def __init__(
        self, network: nn.Module, chain: list[Unit], num_classes: int, features: int, head: Head
    ) -> None:
        super().__init__()
        self.units = nn.ModuleList(
            nn.Sequential(*copy.deepcopy(nn.ModuleList(unit.steps(network)))) for unit in chain
        )
        self.chain = tuple(
            Unit(unit.name, unit.stage, tuple(f"units.{i}.{k}" for k in range(len(unit.steps(network)))))
            for i, unit in enumerate(chain)
        )
        self.pool = nn.AdaptiveAvgPool2d(1) if head == "pooled" else nn.Identity()
        self.num_features = features
        self.head = nn.Linear(features, num_classes)

    def forward_features(self, x: Tensor) -> Tensor:
        """Images (N, 3, H, W) -> activation (N, C, h, w) at the cut point."""
        for unit in self.units:
            x = unit(x)
        return x

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Activation (N, C, h, w) -> logits (N, K), or with `pre_logits` what the head receives (N, D).

        Raises MedtlError where a flattened head meets images of another size than it was made for.
        """
        x = torch.flatten(self.pool(x), 1)
        if x.shape[1] != self.num_features:
            raise MedtlError(
                f"truncated network: the flattened activation has {x.shape[1]} values, the head expects "
                f"{self.num_features}; give it images of the size it was made for, or a pooled head"
            )
        return x if pre_logits else self.head(x)

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, 3, H, W) -> logits (N, K)."""
        return self.forward_head(self.forward_features(x))

    def get_classifier(self) -> nn.Module:
        """The linear head."""
        return self.head


def truncate(
    backbone: Backbone,
    cut: CutPoint | str,
    *,
    num_classes: int,
    head: Head = "pooled",
    seed: int | None = None,
    image_size: int | None = None,
) -> Backbone:
    """A backbone that holds copies of the units of `backbone` up to `cut`, and a fresh linear head.

    cut: a cut point or its name; the last one gives the whole network, so that the full and the cut network
    can have the same kind of head. head: "pooled" takes the average over the map (C features), "flattened"
    every value of it (C h w features), for square images of `image_size` pixels alone. seed: fixes the head,
    drawn as torch draws a linear layer, without touching the global random state.

    Raises MedtlError for a cut that does not exist (listing those that do), fewer than two classes, an
    unknown head, and a flattened head without image size.
    """
    if num_classes < 2:
        raise MedtlError(f"truncate: num_classes is {num_classes}, expected at least 2")
    if head not in get_args(Head):
        raise MedtlError(f"truncate: head is {head!r}, expected one of {', '.join(get_args(Head))}")
    network = backbone.network
    name = cut if isinstance(cut, str) else cut.name
    chain = units(network)[: position_of(network, name) + 1]
    if head == "flattened" and image_size is None:
        raise MedtlError("truncate: a flattened head needs image_size in pixels, found None; give it one")
    channels, height, width = _activation_shape(network, chain, image_size or _LEAST_PIXELS)
    features = channels * height * width if head == "flattened" else channels
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.default_generator.manual_seed(seed)
        truncated = TruncatedNetwork(network, chain, num_classes, features, head)
    truncated.train(network.training).requires_grad_(True)
    device = next(network.parameters()).device
    return dataclasses.replace(
        backbone,
        name=f"{backbone.name}@{name}",
        network=truncated.to(device).to(memory_format=torch.channels_last),
    )


@dataclass(frozen=True)
class Truncation:
    """Where a pretrained backbone is cut, what becomes of the units above, and what trains.

    | method | above the cut | trains |
    |---|---|---|
    | TTL, truncated (Peng et al. 2022) | discarded | all that is left |
    | TF, TransFusion (Raghu et al. 2019) | random, `width` times as wide | all |
    | LWFT, layer-wise fine-tuning | kept | all but the units up to the cut |
    | FTL, full fine-tuning | kept | all |

    cut: name of a cut point (None only for FTL, which has none); head: as `truncate` takes it, for every
    method; width: above 0 to 1, for `above="random"`.
    """

    cut: str | None
    above: Above = "discarded"
    freeze_below: bool = False
    head: Head = "pooled"
    width: float = 0.5

    @classmethod
    def method(cls, name: str, cut: str | None, *, head: Head = "pooled") -> Truncation:
        """The recipe of one of the methods ftl, lwft, tf, ttl. MedtlError for another name or no cut."""
        recipes: dict[str, tuple[Above, bool]] = {
            "ftl": ("kept", False),
            "lwft": ("kept", True),
            "tf": ("random", False),
            "ttl": ("discarded", False),
        }
        if name not in recipes:
            raise MedtlError(f"truncation: method is {name!r}, expected one of {', '.join(recipes)}")
        above, freeze = recipes[name]
        return cls(None if name == "ftl" else cut, above, freeze, head)

    def __post_init__(self) -> None:
        if self.above not in get_args(Above):
            raise MedtlError(
                f"truncation: above is {self.above!r}, expected one of {', '.join(get_args(Above))}"
            )
        if self.cut is None and (self.above != "kept" or self.freeze_below):
            raise MedtlError("truncation: cut is None, expected the name of a cut point; only FTL has none")

    @property
    def policy(self) -> Policy:
        """What trains, as `fit` takes it."""
        return frozen_below(self.cut) if self.freeze_below and self.cut else FULL

    def apply(
        self,
        backbone: Backbone,
        *,
        num_classes: int,
        seed: int | None = None,
        image_size: int | None = None,
    ) -> Backbone:
        """A network of its own made of `backbone`, which stays as it is. Errors as `truncate`."""
        last = units(backbone.network)[-1].name
        if self.above == "random" and self.cut is not None:
            backbone = transfuse(backbone, self.cut, num_classes=num_classes, width=self.width, seed=seed)
        end = self.cut if self.above == "discarded" and self.cut is not None else last
        return truncate(
            backbone, end, num_classes=num_classes, head=self.head, seed=seed, image_size=image_size
        )


def _activation_shape(network: nn.Module, chain: list[Unit], image_size: int) -> tuple[int, int, int]:
    """(C, h, w) of the activation after `chain`, for square images.

    From a blank image: a pass on the meta device takes longer than a pass on so small an image.
    """
    part = nn.Sequential(*(step for unit in chain for step in unit.steps(network)))
    training = [module for module in part.modules() if module.training]
    blank = torch.zeros(1, 3, image_size, image_size, device=next(part.parameters()).device)
    try:
        with torch.no_grad():
            _, channels, height, width = part.eval()(blank).shape
    finally:
        for module in training:
            module.training = True
    return channels, height, width
