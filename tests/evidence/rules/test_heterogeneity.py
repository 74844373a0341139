"""Rules of kind `heterogeneity`: a permutation test over data sets."""

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from medtl_core.evidence.record import Record
from medtl_core.evidence.record_store import to_frame
from medtl_core.evidence.rule import Rule
from medtl_core.evidence.rules.heterogeneity import permutation_p
from medtl_core.evidence.rules.kinds import checked

RULE = Rule(
    reading="main",
    hypothesis="Depth differs",
    kind="heterogeneity",
    study="depth",
    metric="depth",
    treatment="chosen",
)


def records(values_by_dataset):
    return to_frame(
        Record(
            notebook="n", study="depth", dataset=name, source_domain="", target_domain="", arm="chosen",
            factors={}, seed=seed, metric="depth", value=float(value), direction="lower", n_test=9,
            seconds=0.0, device="cpu", key=f"{name}{seed}", synthetic=name == "phantoms",
        )
        for name, values in values_by_dataset.items()
        for seed, value in enumerate(values)
    )  # fmt: skip


def test_all_arrangements_of_two_small_groups_are_counted():
    a, b = np.array([0.0, 1.0, 1.0, 0.0]), np.array([2.0, 3.0, 2.0])
    together = np.concatenate([a, b])
    found = abs(a.mean() - b.mean())
    extreme = 0
    for chosen in combinations(range(7), 4):
        rest = [i for i in range(7) if i not in chosen]
        extreme += abs(together[list(chosen)].mean() - together[rest].mean()) >= found - 1e-9
    assert permutation_p([a, b]) == pytest.approx(extreme / 35)


def test_it_agrees_with_the_f_test_on_normal_data():
    rng = np.random.default_rng(3)
    groups = [rng.normal(shift, 1.0, 30) for shift in (0.0, 0.3, 0.6)]
    assert permutation_p(groups) == pytest.approx(stats.f_oneway(*groups).pvalue, abs=0.01)


@pytest.mark.slow
def test_no_difference_is_called_supported_at_most_as_often_as_the_level():
    rng = np.random.default_rng(0)
    called = [
        permutation_p([rng.integers(0, 4, 4).astype(float) for _ in range(2)]) <= 0.05 for _ in range(300)
    ]
    assert np.mean(called) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 300)


def test_a_planted_difference_is_supported_and_names_the_means(judge):
    result = judge(RULE, records({"a": [0, 0, 1, 0, 0], "b": [3, 3, 2, 3, 3]}))
    assert result.verdict == "supported"
    assert "means a 0.2, b 2.8" in result.reason


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"a": [0, 1, 2, 1, 0], "b": [1, 0, 2, 0, 1]}, "permutation test"),
        ({"a": [0, 0, 0, 0, 0]}, "one data set with"),
        ({"a": [0, 0, 0, 0, 0], "b": [3, 3, 3]}, "one data set with"),
        ({"a": [0, 0, 0, 0, 0], "phantoms": [3, 3, 3, 3, 3]}, "one data set with"),
    ],
)
def test_too_little_stays_inconclusive(judge, values, reason):
    result = judge(RULE, records(values))
    assert result.verdict == "inconclusive"
    assert reason in result.reason


def test_a_control_has_no_place_in_such_a_rule():
    with pytest.raises(ValueError, match="does not use `control`"):
        checked(RULE.model_copy(update={"control": "other"}))


def test_a_study_that_was_not_run_is_pending(judge):
    elsewhere = records({"a": [0, 1, 0, 1, 0]}).assign(study="other")
    assert judge(RULE, elsewhere).verdict == "pending"
    assert judge(RULE, elsewhere.iloc[:0]).verdict == "pending"
