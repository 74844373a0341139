"""Any backbone as an ordered list of cut points, grouped in stages.

A cut point is the output of a unit of the network's chain (`families`), so the units up to it form a
network of their own: `prefix`. All cut points are read in one forward pass: `activations`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from torch import Tensor, nn

from medtl_core.backbones.families import Unit, units
from medtl_core.backbones.meta_device import call_on_meta_device
from medtl_core.errors import MedtlError

Level = Literal["block", "stage"]


@dataclass(frozen=True)
class CutPoint:
    """A place where a network can be cut.

    index: position among the cut points of its level, from 0; name: what tables call it; module: dotted
    path of the last module before the cut; stage: index into `stage_modules`; channels: C of the activation
    (N, C, h, w). At a dense layer of a DenseNet the activation is the layer's input concatenated with its
    output.
    """

    index: int
    name: str
    module: str
    stage: int
    channels: int


class _Walk(nn.Module):
    """Units one after the other: images -> the outputs of those units that are kept."""

    def __init__(self, network: nn.Module, chain: list[Unit], kept: list[int]) -> None:
        super().__init__()
        self.units = nn.ModuleList(nn.Sequential(*unit.steps(network)) for unit in chain)
        self.kept = frozenset(kept)

    def forward(self, x: Tensor) -> list[Tensor]:
        outputs = []
        for i, unit in enumerate(self.units):
            x = unit(x)
            if i in self.kept:
                outputs.append(x)
        return outputs


def cut_points(network: nn.Module, level: Level = "block") -> list[CutPoint]:
    """Cut points of `network` from input to head: the end of every block, or of every stage.

    Raises MedtlError for a network of a family that `families` does not know, or for an unknown level.
    """
    chain = units(network)
    kept = _kept(chain, level)
    outputs = call_on_meta_device(_Walk(network, chain, kept), (2, 3, 224, 224))
    return [
        CutPoint(index, chain[i].name, chain[i].modules[-1], chain[i].stage, output.shape[1])
        for index, (i, output) in enumerate(zip(kept, outputs, strict=True))
    ]


def cut_named(network: nn.Module, name: str) -> CutPoint:
    """The cut point of that name at block level, such as layer3.3 (the end of a stage is that of a block).

    Raises MedtlError that lists the names of those that exist.
    """
    return cut_points(network)[position_of(network, name)]


def position_of(network: nn.Module, name: str) -> int:
    """The index of the cut point of that name at block level. Raises MedtlError as `cut_named`."""
    names = [unit.name for unit in units(network)]
    if name not in names:
        raise MedtlError(
            f"cut point: {type(network).__name__} has none named {name!r}, expected one of {', '.join(names)}"
        )
    return names.index(name)


def activations(network: nn.Module, x: Tensor, level: Level = "block") -> list[Tensor]:
    """Activations (N, C, h, w) at the cut points, in their order, for images x (N, 3, H, W), in one pass.

    The network's mode and the ambient gradient mode are respected: for fixed features call `network.eval()`
    and use `torch.no_grad()`. Raises MedtlError as `cut_points` does.
    """
    chain = units(network)
    return _Walk(network, chain, _kept(chain, level))(x)


def prefix(network: nn.Module, cut: CutPoint) -> nn.Sequential:
    """The part of `network` up to and including `cut`: images (N, 3, H, W) -> activation (N, C, h, w).

    It shares the parameters and buffers of `network`: training the one trains the other.
    Raises MedtlError if the network has no such cut point.
    """
    steps: list[nn.Module] = []
    for unit in units(network):
        steps += unit.steps(network)
        if unit.modules[-1] == cut.module:
            part = nn.Sequential(*steps)
            part.training = network.training
            return part
    raise MedtlError(
        f"prefix: {type(network).__name__} has no cut point at {cut.module!r}, expected one of its cut_points"
    )


def stage_names(network: nn.Module) -> list[list[str]]:
    """Dotted paths of the modules of each stage, from input to head, without global pooling and head.

    Raises MedtlError for a network of an unknown family.
    """
    chain = units(network)
    stages: list[list[str]] = [[] for _ in range(chain[-1].stage + 1)]
    for unit in chain:
        stages[unit.stage].extend(unit.modules)
    return stages


def stage_modules(network: nn.Module) -> list[list[nn.Module]]:
    """The modules of each stage (stem, stages, head convolution where there is one): see `stage_names`."""
    return [[network.get_submodule(path) for path in paths] for paths in stage_names(network)]


def _kept(chain: list[Unit], level: str) -> list[int]:
    if level not in get_args(Level):
        raise MedtlError(f"cut points: level is {level!r}, expected one of {', '.join(get_args(Level))}")
    ends = [i for i in range(len(chain)) if i + 1 == len(chain) or chain[i + 1].stage != chain[i].stage]
    return ends if level == "stage" else list(range(len(chain)))
