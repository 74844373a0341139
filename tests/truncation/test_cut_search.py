"""Searches over cut points: counts and choices on paper."""

import pytest

from medtl_core.backbones.stages import CutPoint
from medtl_core.errors import MedtlError
from medtl_core.truncation.cut_search import exhaustive_search, two_stage_search

# ResNet-50: a stem and stages of 3, 4, 6 and 3 bottlenecks, as in the paper
STAGES = [0] + [1] * 3 + [2] * 4 + [3] * 6 + [4] * 3
CUTS = [CutPoint(i, f"cut{i}", f"m{i}", stage, 8) for i, stage in enumerate(STAGES)]


def test_two_stages_of_search_on_resnet50() -> None:
    asked: list[int] = []

    def score(cut: CutPoint) -> float:
        asked.append(cut.index)
        return -abs(cut.index - 11)

    found = two_stage_search(CUTS, score)
    assert asked == [0, 3, 7, 13, 16, 8, 9, 10, 11, 12]
    assert found.candidates == 10
    assert found.chosen.index == 11
    assert [cut.index for cut, _ in found.tried] == asked


def test_the_two_stage_search_can_miss_what_the_exhaustive_one_finds() -> None:
    scores = {cut.index: 0.1 for cut in CUTS} | {5: 0.9, 16: 0.5}
    assert exhaustive_search(CUTS, lambda cut: scores[cut.index]).chosen.index == 5
    assert exhaustive_search(CUTS, lambda cut: scores[cut.index]).candidates == 17
    assert two_stage_search(CUTS, lambda cut: scores[cut.index]).chosen.index == 16


def test_of_equals_the_lowest_cut_is_chosen() -> None:
    assert exhaustive_search(CUTS[::-1], lambda cut: 0.5).chosen.index == 0


def test_no_cuts_are_refused() -> None:
    with pytest.raises(MedtlError, match="expected at least one"):
        two_stage_search([], lambda cut: 0.0)
