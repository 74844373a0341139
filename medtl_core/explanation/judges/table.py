"""The judges by name: which direction is better, what maps they take and how they normalise them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn

from medtl_core.errors import MedtlError
from medtl_core.explanation.explaining import Explanation
from medtl_core.explanation.judges.agreement import agreement
from medtl_core.explanation.judges.captum_judges import infidelity, sensitivity_max
from medtl_core.explanation.judges.deletion import deletion, insertion
from medtl_core.explanation.judges.judgement import Judgement, checked_case
from medtl_core.explanation.judges.masks import mass_in_mask, pointing_game
from medtl_core.explanation.judges.road import road
from medtl_core.explanation.judges.weight_randomisation import (
    cascading_randomisation,
    independent_randomisation,
)
from medtl_core.explanation.untouched import untouched


@dataclass(frozen=True)
class Judge:
    """direction: which values are better; maps: the values it takes; normalisation: what it does to them."""

    name: str
    function: Callable[..., Judgement]
    direction: Literal["higher", "lower"]
    maps: Literal["signed", "absolute", "positive"]
    normalisation: str
    needs_masks: bool = False


RANKS = "ranks of the values"
JUDGES = {
    judge.name: judge
    for judge in (
        Judge("deletion", deletion, "lower", "signed", RANKS),
        Judge("insertion", insertion, "higher", "signed", RANKS),
        Judge("road", road, "higher", "signed", RANKS),
        Judge("pointing_game", pointing_game, "higher", "signed", "place of the largest value", True),
        Judge("mass_in_mask", mass_in_mask, "higher", "positive", "divided by the sum", True),
        Judge("infidelity", infidelity, "lower", "signed", "best factor for each image"),
        Judge("sensitivity_max", sensitivity_max, "lower", "signed", "divided by the norm of the map"),
        Judge("cascading_randomisation", cascading_randomisation, "lower", "absolute", RANKS),
        Judge("independent_randomisation", independent_randomisation, "lower", "absolute", RANKS),
        Judge("agreement", agreement, "higher", "signed", RANKS),
    )
}


def judge_names(*, masks: bool = True) -> list[str]:
    """Names that `judge` takes; without `masks`, those alone that need none."""
    return [name for name, each in JUDGES.items() if masks or not each.needs_masks]


def judge(
    name: str,
    network: nn.Module,
    x: Tensor,
    target: int | Tensor,
    explanation: Explanation,
    *,
    masks: Tensor | None = None,
    **options: Any,
) -> Judgement:
    """Judge an explanation of class `target` for images x (N, C, H, W) by the judge of that name.

    masks: (N, H, W), 0 outside the object; options: those of the judge. The network comes back as it was.
    Raises MedtlError for an unknown judge or option, other shapes, and missing or empty masks.
    """
    if name not in JUDGES:
        raise MedtlError(f"judge: {name!r}, expected one of {', '.join(JUDGES)}")
    chosen = JUDGES[name]
    known = [
        p.name for p in inspect.signature(chosen.function).parameters.values() if p.kind is p.KEYWORD_ONLY
    ]
    if unknown := sorted(set(options) - set(known)):
        raise MedtlError(
            f"judge: {name} has no option {unknown[0]!r}, expected one of: {', '.join(known) or 'none'}"
        )
    with untouched(network):
        return chosen.function(checked_case(network, x, target, explanation, masks), **options)
