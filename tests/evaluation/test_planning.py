"""The size of a study that finds an effect: against the noncentral t, a normal sum, simulation."""

import numpy as np
import pytest
from scipy import stats

from medtl_core.errors import MedtlError
from medtl_core.evaluation.statistics import Interval, interval_of_draws, mean_t, size_needed

LEVEL, POWER = 0.025, 0.8


def interval(
    between_seeds: float, of_cases: float, seeds: int = 10, degrees: float | None = None
) -> Interval:
    """Standard deviation between seeds, and what the test cases add to the standard error."""
    error = (between_seeds**2 / seeds + of_cases**2) ** 0.5
    freedom = degrees or (seeds - 1 if not of_cases else 1e9)
    return Interval(0.0, -1.0, 1.0, seeds, 1.0, between_seeds, "", error, freedom)


@pytest.mark.parametrize("effect", [0.01, 0.02, 0.05])
def test_seeds_alone_are_the_fewest_that_reach_the_power(effect):
    found = size_needed(interval(0.02, 0.0), None, effect, LEVEL)
    assert found is not None
    assert found.cases is None

    def power(seeds):
        critical = stats.t.isf(LEVEL, seeds - 1)
        return stats.nct.sf(critical, seeds - 1, effect / 0.02 * seeds**0.5)

    assert power(found.seeds) >= POWER
    assert power(found.seeds - 1) < POWER


def test_test_cases_alone_by_the_normal_sum():
    found = size_needed(interval(1e-9, 0.02), 100, 0.01, LEVEL)
    assert found is not None
    assert found.seeds == 10
    z = stats.norm.isf(LEVEL) + stats.norm.ppf(POWER)
    assert found.cases == pytest.approx(100 * (z * 0.02 / 0.01) ** 2, rel=0.01)


def test_both_share_what_is_left_of_the_variance():
    between, of_cases, effect, here = 0.3, 0.02, 0.01, 100
    found = size_needed(interval(between, of_cases), here, effect, LEVEL)
    assert found is not None
    assert found.cases is not None
    z = stats.norm.isf(LEVEL) + stats.norm.ppf(POWER)
    allowed = (effect / z) ** 2
    assert between**2 / found.seeds == pytest.approx(allowed / 2, rel=0.01)
    assert of_cases**2 * here / found.cases == pytest.approx(allowed / 2, rel=0.01)


def test_a_study_of_that_size_finds_the_effect_with_that_power():
    rng = np.random.default_rng(0)
    between, of_cases, effect = 0.02, 0.004, 0.015
    needed = size_needed(interval(between, of_cases, degrees=30.0), 200, effect, LEVEL)
    assert needed is not None
    assert needed.seeds > 10
    found = 0
    for _ in range(1000):
        values = effect + rng.normal(0, of_cases) + rng.normal(0, between, needed.seeds)
        draws = values + rng.normal(0, of_cases, (400, 1))
        test = interval_of_draws(values, draws, rarest=100)
        found += stats.t.sf(test.estimate / test.standard_error, test.degrees_of_freedom) <= LEVEL
    assert found / 1000 == pytest.approx(POWER, abs=0.04)


def test_no_size_is_enough_where_cases_cannot_be_added_and_their_part_is_too_large():
    assert size_needed(interval(0.02, 0.05), None, 0.001, LEVEL) is None
    assert size_needed(mean_t([0.1, 0.2, 0.4]), None, 1e-5, LEVEL) is None


def test_a_distance_of_nothing_is_refused():
    with pytest.raises(MedtlError, match=r"^distance: 0\.0 found, expected a number above 0"):
        size_needed(interval(0.02, 0.0), None, 0.0, LEVEL)
