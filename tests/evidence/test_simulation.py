"""The machinery itself, on simulated registers: how often it says what is not so, and what it finds."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from medtl_core.evidence.register import load_register
from medtl_core.evidence.verdict import judge_entries
from tests.evidence.simulation.ideal import families, ideal_power
from tests.evidence.simulation.ledgers import tally
from tests.evidence.simulation.world import KnownCases, World, private_studies, records_of

NOTEBOOK = "02_fine_tuning"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shipped():
    return load_register()


def bound(ledgers: int) -> float:
    """The error that chance gives a machinery of 5 % at most, two standard errors up."""
    return 0.05 + 2 * (0.05 * 0.95 / ledgers) ** 0.5


@pytest.mark.parametrize("world", [World(10, 0.0), World(10, 2.0), World(10, 0.7, effect=20, one_null=True)])
def test_false_words_are_rare(shipped, world):
    found = tally(shipped, world, 3)
    assert found.error <= bound(found.ledgers)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seeds", [5, 10, 20])
@pytest.mark.parametrize("ratio", [0.0, 0.7, 2.0, 5.0])
def test_false_words_are_rare_in_every_world(shipped, seeds, ratio):
    found = tally(shipped, World(seeds, ratio), 6, seed=1)
    assert found.error <= bound(found.ledgers)


def test_without_new_cases_more_seeds_would_make_it_worse(shipped, monkeypatch):
    monkeypatch.setattr(KnownCases, "resamples", lambda self, metric: False)
    found = tally(shipped, World(20, 5.0), 2)
    assert found.error > bound(found.ledgers)


def test_a_planted_effect_of_three_deviations_is_found(shipped):
    assert tally(shipped, World(10, 0.0, effect=3.0), 1).found > 0.8


def test_the_power_is_that_of_tests_that_know_both_spreads(shipped):
    asked, found = ideal_power(families(shipped), 10, 0.7)
    most = found.total() / asked.total()
    assert tally(shipped, World(10, 0.7, effect=3.0), 3).found > most - 0.1


def test_power_of_known_spreads_by_hand():
    asked, found = ideal_power([[1], []], 10, 0.0, effect=0.5)
    assert asked == {1: 2000}
    by_hand = norm.sf(norm.isf(0.025) - 0.5 * 10**0.5)
    assert found[1] / asked[1] == pytest.approx(by_hand, abs=0.04)
    of_two = ideal_power([[2, 2]], 10, 0.0, effect=1.2)[1][2] / 4000
    z = norm.isf([0.025, 0.0125]) - 1.2 * 10**0.5
    late, early = norm.sf(z) ** 2  # at the level of the last and of the first step, in both places
    assert of_two == pytest.approx(early + (late - early) * early, abs=0.02)


def test_archives_of_noise_change_no_word(shipped):
    own = private_studies(shipped)
    world = World(10, 0.7, effect=3.0)
    scope = records_of(own, NOTEBOOK, world, np.random.default_rng(4))
    noisy = records_of(own, NOTEBOOK, World(10, 0.7, noise_archives=3), np.random.default_rng(6))
    noise = noisy[noisy["dataset"].str.startswith("noise")]
    cases = KnownCases(own, world)
    words = [
        {v.claim.id: v.verdict for v in judge_entries(own, {NOTEBOOK: frame}, cases, NOTEBOOK)}
        for frame in (scope, pd.concat([scope, noise], ignore_index=True))
    ]
    assert set(noise["dataset"]) == {"noise_0", "noise_1", "noise_2"}
    assert words[0] == words[1]
    assert {"supported"} <= set(words[0].values())
