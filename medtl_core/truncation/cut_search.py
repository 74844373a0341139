"""Searches for the best cut by a validated score, with what each of them tried."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from medtl_core.backbones.stages import CutPoint
from medtl_core.errors import MedtlError


@dataclass(frozen=True)
class CutSearch:
    """Cut points with their validated scores (higher is better), in the order in which they were tried."""

    tried: tuple[tuple[CutPoint, float], ...]

    @property
    def candidates(self) -> int:
        """How many cut points were validated."""
        return len(self.tried)

    @property
    def chosen(self) -> CutPoint:
        """The cut of the best score; of equals the lowest one."""
        return max(self.tried, key=lambda pair: (pair[1], -pair[0].index))[0]


def exhaustive_search(cuts: Sequence[CutPoint], score: Callable[[CutPoint], float]) -> CutSearch:
    """Score every cut. MedtlError for none."""
    if not cuts:
        raise MedtlError("cut search: found no cut points, expected at least one")
    return CutSearch(tuple((cut, score(cut)) for cut in cuts))


def two_stage_search(cuts: Sequence[CutPoint], score: Callable[[CutPoint], float]) -> CutSearch:
    """Score the last cut of every stage, then the other cuts of the best of these stages.

    Peng et al. 2022 (arXiv 2106.05152): blocks first (here stages), then layers inside the best block (here
    units). That the score is the validation score is our reading; no search script was published. A cut is
    scored once. MedtlError for no cuts.
    """
    ends = list({cut.stage: cut for cut in cuts}.values())
    coarse = exhaustive_search(ends, score)
    within = [cut for cut in cuts if cut.stage == coarse.chosen.stage and cut not in ends]
    return CutSearch(coarse.tried + tuple((cut, score(cut)) for cut in within))
