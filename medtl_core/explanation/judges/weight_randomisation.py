"""Do the maps change when the weights do? (Adebayo et al. 2018, arXiv 1810.03292, section 3.)"""

from __future__ import annotations

import copy
from typing import Literal

import torch
from torch import nn

from medtl_core.backbones.stages import stage_names
from medtl_core.backbones.zoo import head_of
from medtl_core.errors import MedtlError
from medtl_core.explanation.explaining import explain
from medtl_core.explanation.judges.judgement import Case, Judgement
from medtl_core.explanation.judges.likeness import spearman, ssim

Maps = Literal["absolute", "signed"]


def cascading_randomisation(case: Case, *, seed: int = 0, maps: Maps = "absolute") -> Judgement:
    """Spearman correlation with the map of the network whose weights are all drawn anew; from head to stem.

    details: "stages", from the head downwards, with the "spearman" and "ssim" (S, N) once the stages up to
    that one are random. maps: absolute or signed values are compared; SSIM stretches each map to 0 to 1.
    A map that becomes flat has no correlation: NaN.
    """
    return _randomised("cascading_randomisation", case, seed, maps, cascading=True)


def independent_randomisation(case: Case, *, seed: int = 0, maps: Maps = "absolute") -> Judgement:
    """Mean Spearman correlation with the maps of networks of which one stage is random, each in turn.

    details and maps: as `cascading_randomisation`.
    """
    return _randomised("independent_randomisation", case, seed, maps, cascading=False)


def randomise(module: nn.Module, seed: int) -> None:
    """Draw the weights of a module anew, in place, as torch draws them; batch norm starts from 0 and 1.

    The global random state is left alone. Raises MedtlError for parameters that nothing can draw.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        for name, part in module.named_modules():
            reset = getattr(part, "reset_parameters", None)
            if callable(reset):
                reset()
            elif next(part.parameters(recurse=False), None) is not None:
                raise MedtlError(
                    f"randomise: {name or type(part).__name__} is a {type(part).__name__} without "
                    "reset_parameters, expected torch's own layers"
                )


def _randomised(judge: str, case: Case, seed: int, kind: Maps, *, cascading: bool) -> Judgement:
    if kind not in ("absolute", "signed"):
        raise MedtlError(f"{judge}: maps are {kind!r}, expected absolute or signed")
    found = case.explanation
    first = found.maps.abs() if kind == "absolute" else found.maps
    correlations, similarities, names = [], [], []
    network = copy.deepcopy(case.network)
    for offset, (name, paths) in enumerate(_stages(case.network)):
        if not cascading:
            network = copy.deepcopy(case.network)
        for path in paths:
            randomise(network.get_submodule(path), seed + offset)
        again = explain(network, case.x, case.target, found.method, **found.settings).maps
        other = again.abs() if kind == "absolute" else again
        names.append(name)
        correlations.append(spearman(first, other))
        similarities.append(ssim(first, other))
    ranks = torch.stack(correlations)
    values = ranks[-1] if cascading else ranks.nanmean(0)
    details: dict[str, object] = {"stages": names, "spearman": ranks, "ssim": torch.stack(similarities)}
    return Judgement(judge, values, "lower", details | {"maps": kind})


def _stages(network: nn.Module) -> list[tuple[str, list[str]]]:
    """Name and modules of the head and of each stage with weights, from the head down."""
    head = head_of(network)
    head_path = next(path for path, module in network.named_modules() if module is head)
    stages = [
        (f"stage {i}", paths)
        for i, paths in enumerate(stage_names(network))
        if any(True for path in paths for _ in network.get_submodule(path).parameters())
    ]
    return [("head", [head_path]), *reversed(stages)]
