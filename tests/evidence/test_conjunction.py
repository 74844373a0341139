"""P values over several places, against counts on paper and simulated nulls."""

import numpy as np
import pytest

from medtl_core.evidence.conjunction import p_of, p_of_failure


@pytest.mark.parametrize(
    ("how", "expected"),
    [("all", 0.4), ("majority", 3 * 0.03), ("any", 5 * 0.001)],
)
def test_of_five_places(how, expected):
    assert p_of([0.03, 0.001, 0.4, 0.02, 0.1], "all") == 0.4
    # More than half of five are three: (5 - 3 + 1) times the third smallest.
    assert p_of([0.03, 0.001, 0.4, 0.02, 0.1], how) == pytest.approx(expected)


def test_what_fails_is_the_other_way_round():
    p = [0.01, 0.2, 0.3]
    assert p_of_failure(p, "all") == pytest.approx(0.03)
    assert p_of_failure(p, "any") == pytest.approx(0.3)
    # Two of three are a majority; it fails once two fail.
    assert p_of_failure(p, "majority") == pytest.approx(2 * 0.2)
    assert p_of([0.5, 0.6], "any") == 1.0
    with pytest.raises(ValueError, match="no p value"):
        p_of([], "all")


@pytest.mark.parametrize(("how", "true"), [("all", 3), ("majority", 2), ("any", 0)])
def test_a_false_conjunction_is_refused_no_more_often_than_the_level(how, true):
    rng = np.random.default_rng(1)
    places, level = 4, 0.05
    p = rng.uniform(size=(4000, places))
    p[:, :true] = 0.0  # these hold beyond doubt, one too few do
    found = np.mean([p_of(list(row), how) <= level for row in p])
    assert found <= level + 3 * (level * (1 - level) / 4000) ** 0.5
