"""The machinery itself: how often it says what it should not, and how often it finds what is there."""

import numpy as np
import pandas as pd
import pytest

from medtl_core.evaluation.statistics import power_paired_t
from medtl_core.evidence.verdict import judge, judge_entries

pytestmark = pytest.mark.slow

SEEDS = 5
SD = 0.02


def simulated(generator, effect, metrics=("auroc",)) -> pd.DataFrame:
    """Two arms of one study; the difference between them has the effect as mean and SD between seeds."""
    rows = []
    for metric in metrics:
        base = generator.normal(0.8, 0.05, SEEDS)
        difference = generator.normal(effect, SD, SEEDS)
        for arm, values in (("scratch", base), ("full", base + difference)):
            rows += [(arm, seed, metric, value) for seed, value in enumerate(values)]
    frame = pd.DataFrame(rows, columns=["arm", "seed", "metric", "value"])
    names = {
        "study": "learning_curve",
        "dataset": "breastmnist",
        "key": "k",
        "synthetic": False,
        "configuration": "",
    }
    return frame.assign(source_domain="", target_domain="", **names)


def share(rule, generator, effect, times, word):
    return np.mean([judge(rule, simulated(generator, effect)).verdict == word for _ in range(times)])


def test_on_nulls_supported_comes_up_at_most_in_five_of_a_hundred(rule):
    generator = np.random.default_rng(20240)
    times, tolerance = 600, 2 * (0.05 * 0.95 / 600) ** 0.5
    # A margin of almost nothing leaves the whole work to the interval.
    found = [judge(rule(margin=1e-9), simulated(generator, 0.0)).verdict for _ in range(times)]
    assert found.count("supported") / times <= 0.05 + tolerance
    assert found.count("contradicted") / times <= 0.05 + tolerance
    assert found.count("supported") > 0


def test_a_difference_at_the_margin_is_called_equal_at_most_in_five_of_a_hundred(rule):
    generator = np.random.default_rng(7)
    equal = rule(kind="equivalence", margin=0.04)
    assert share(equal, generator, 0.04, 500, "supported") <= 0.05 + 2 * (0.05 * 0.95 / 500) ** 0.5


def test_a_notebook_of_nulls_has_a_supported_in_at_most_five_of_a_hundred(rule, claim, registered):
    generator = np.random.default_rng(11)
    metrics = [f"metric_{i}" for i in range(6)]
    claims = [claim(rule(metric=m, margin=1e-9), id=f"C{i:03}") for i, m in enumerate(metrics)]
    register, times = registered(*claims), 150
    wrong = 0
    for _ in range(times):
        verdicts = judge_entries(register, {"02_fine_tuning": simulated(generator, 0.0, metrics)})
        wrong += any(verdict.verdict in ("supported", "supported with conditions") for verdict in verdicts)
    assert wrong / times <= 0.05 + 2 * (0.05 * 0.95 / times) ** 0.5


@pytest.mark.parametrize("effect", [0.02, 0.03, 0.045])
def test_a_planted_effect_comes_up_with_the_power_computed(rule, effect):
    generator = np.random.default_rng(5)
    power, times = power_paired_t(effect, SD, SEEDS), 400
    found = share(rule(margin=1e-9), generator, effect, times, "supported")
    assert abs(found - power) <= 3 * (power * (1 - power) / times) ** 0.5 + 1e-3
