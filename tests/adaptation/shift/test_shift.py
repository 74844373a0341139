"""Measures of shift against sums written out, constructions of known kind, and shares of a gap on paper."""

import math

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from medtl_core.adaptation.shift import (
    centre_probe,
    gap_closed,
    kind_of_shift,
    linear_mmd2,
    multi_kernel_mmd2,
)
from medtl_core.errors import MedtlError

RNG = np.random.default_rng(0)
X, Y = RNG.normal(0, 1, (9, 4)), RNG.normal(0.7, 1.8, (6, 4))


def double_sum(kernel):
    n, m = len(X), len(Y)
    within_x = sum(kernel(X[i], X[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within_y = sum(kernel(Y[i], Y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return within_x + within_y - 2 * sum(kernel(a, b) for a in X for b in Y) / (n * m)


def test_linear_mmd_is_the_double_sum():
    assert linear_mmd2(X, Y) == pytest.approx(double_sum(np.dot))


def test_multi_kernel_mmd_is_the_double_sum():
    median = np.median(pdist(np.concatenate([X, Y])))

    def kernel(a, b):
        return np.mean([np.exp(-((a - b) ** 2).sum() / (2 * u * median**2)) for u in (0.25, 0.5, 1, 2, 4)])

    assert multi_kernel_mmd2(X, Y) == pytest.approx(double_sum(kernel))


def test_both_have_no_bias_for_equal_distributions_and_see_a_moved_mean():
    rng = np.random.default_rng(0)
    for measure in (linear_mmd2, multi_kernel_mmd2):
        found = [measure(*rng.normal(0, 1, (2, 10, 3))) for _ in range(200)]
        assert abs(np.mean(found)) < 3 * np.std(found) / math.sqrt(200)
        assert measure(rng.normal(0, 1, (50, 3)), rng.normal(1, 1, (50, 3))) > 0.05


def test_linear_mmd_refuses_what_does_not_fit():
    with pytest.raises(MedtlError, match=r"found shapes \(9, 4\) and \(1, 4\)"):
        linear_mmd2(X, Y[:1])
    with pytest.raises(MedtlError, match="NaN or infinity"):
        linear_mmd2(X, Y * np.nan)


def test_the_centre_probe_finds_a_centre_and_finds_none():
    rng = np.random.default_rng(0)
    features, centres = rng.normal(0, 1, (300, 5)), np.repeat(["a", "b", "c"], 100)
    nothing = centre_probe(features, centres)
    assert nothing.chance == pytest.approx(1 / 3)
    assert nothing.balanced_accuracy == pytest.approx(1 / 3, abs=0.1)
    features[centres == "b", 0] += 5
    features[centres == "c", 1] += 5
    assert centre_probe(features, centres).balanced_accuracy > 0.95


def test_within_classes_a_difference_of_class_shares_is_not_taken_for_a_centre():
    rng = np.random.default_rng(0)
    centres = np.repeat([0, 1], 200)
    labels = np.where(rng.random(400) < np.where(centres, 0.9, 0.1), 1, 0)
    features = rng.normal(0, 1, (400, 3)) + 4 * labels[:, None]
    assert centre_probe(features, centres).balanced_accuracy > 0.85
    within = centre_probe(features, centres, labels=labels)
    assert within.balanced_accuracy == pytest.approx(0.5, abs=0.12)
    assert set(within.by_class) == {0, 1}
    assert np.mean(list(within.by_class.values())) == within.balanced_accuracy


def test_the_centre_probe_names_what_it_leaves_out_and_refuses_one_centre():
    rng = np.random.default_rng(0)
    features, centres = rng.normal(0, 1, (60, 2)), np.tile([0, 1], 30)
    labels = np.repeat([0, 1], [52, 8])
    assert centre_probe(features, centres, labels=labels).left_out == (1,)
    with pytest.raises(MedtlError, match="1 centre found, expected at least 2"):
        centre_probe(features, np.zeros(60))
    with pytest.raises(MedtlError, match="no class has 40 cases"):
        centre_probe(features, centres, labels=labels, folds=40)
    with pytest.raises(MedtlError, match=r"labels of shape \(5,\)"):
        centre_probe(features, centres, labels=np.zeros(5))


def test_groups_stay_in_one_fold():
    """Twenty patients with features of their own, each of one centre: copies across folds give it away."""
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(20), 15)
    features = rng.normal(0, 3, (20, 30))[patients] + rng.normal(0, 0.1, (300, 30))
    centres = patients % 2
    assert centre_probe(features, centres).balanced_accuracy > 0.9
    assert centre_probe(features, centres, groups=patients).balanced_accuracy < 0.8


def test_the_share_of_the_gap_on_paper():
    found = gap_closed([0.5, 0.6, 0.5], [0.7, 0.55, 0.9], [0.9, 0.8, 0.9])
    assert found.gaps == pytest.approx([0.4, 0.2, 0.4])
    assert found.spread == pytest.approx(math.sqrt(0.04 / 3))
    assert found.shares == pytest.approx([0.5, -0.25, 1.0])
    assert found.negative.tolist() == [False, True, False]
    assert found.negative_transfer == pytest.approx(1 / 3)
    assert found.mean_share == pytest.approx(1.25 / 3)


def test_a_gap_within_its_spread_has_no_share_but_negative_transfer_still_counts():
    found = gap_closed([0.5, 0.9, 0.7], [0.4, 0.9, 0.8], [0.9, 0.6, 0.75])
    assert found.spread == pytest.approx(np.std([0.4, -0.3, 0.05], ddof=1))
    assert np.isnan(found.shares[1:]).all()
    assert found.shares[0] == pytest.approx(-0.25)
    assert found.negative_transfer == pytest.approx(1 / 3)
    none = gap_closed([0.5, 0.5], [0.6, 0.4], [0.5, 0.52])
    assert none.mean_share == pytest.approx(-5)
    assert none.seeds_with_gap == 1
    nowhere = gap_closed([0.5, 0.5], [0.6, 0.4], [0.5, 0.5])
    assert nowhere.mean_share is None
    assert nowhere.seeds_with_gap == 0


def test_a_lower_metric_is_turned():
    up = gap_closed([0.5, 0.6], [0.7, 0.65], [0.9, 0.9])
    down = gap_closed([-0.5, -0.6], [-0.7, -0.65], [-0.9, -0.9], higher_is_better=False)
    assert down.shares == pytest.approx(up.shares)
    with pytest.raises(MedtlError, match="at least 2 seeds"):
        gap_closed([0.5], [0.5], [0.5])
    with pytest.raises(MedtlError, match="finite value"):
        gap_closed([0.5, np.nan], [0.5, 1], [0.5, 1])


def sample(n, mean=0.0, flip=False, share=None, seed=0):
    """x (n, 2) and y: logistic in the first feature, or with `share` Gaussian classes of that prevalence."""
    rng = np.random.default_rng(seed)
    if share is None:
        x = rng.normal(mean, 1, (n, 2))
        y = rng.random(n) < 1 / (1 + np.exp(-(-2 if flip else 2) * x[:, 0]))
    else:
        y = rng.random(n) < share
        x = rng.normal(0, 1, (n, 2)) + 2.0 * y[:, None]
    return x, y.astype(int)


@pytest.mark.parametrize(
    ("source", "target", "kind"),
    [
        ({}, {}, "none"),
        ({}, {"mean": 0.8}, "covariate"),
        ({}, {"flip": True}, "concept"),
        ({"share": 0.5}, {"share": 0.2}, "label"),
        ({}, {"mean": 0.8, "flip": True}, "other"),
    ],
)
def test_each_construction_shows_its_kind(source, target, kind):
    found = kind_of_shift(*sample(300, **source), *sample(280, **target, seed=1), permutations=200)
    assert found.name() == kind


@pytest.mark.slow
def test_the_tests_keep_their_level_where_nothing_differs():
    low = [
        kind_of_shift(*sample(80, seed=2 * i), *sample(60, seed=2 * i + 1), permutations=39)
        for i in range(40)
    ]
    for field in ("labels", "appearance", "concept"):
        assert np.mean([getattr(found, field) <= 0.05 for found in low]) <= 0.15


def test_appearance_is_tested_within_classes_and_not_blurred_by_their_number():
    """Eight classes that move together: the p value is the smallest that 199 permutations can give."""
    rng = np.random.default_rng(0)
    labels = np.tile(np.arange(8), 20)
    x, u = rng.normal(0, 1, (2, 160, 3)) + 3 * labels[:, None]
    assert kind_of_shift(x, labels, u + 2, labels, permutations=199).appearance == 1 / 200
    assert kind_of_shift(x, labels, u, labels, permutations=199).appearance > 0.05


def test_samples_that_cannot_be_compared_are_one_line():
    x, y = sample(40)
    with pytest.raises(MedtlError, match="share none, expected one coding"):
        kind_of_shift(x, y, x, y + 2)
    with pytest.raises(MedtlError, match="leave rarer classes out"):
        kind_of_shift(x, y, x, np.where(np.arange(40) == 0, 1, 0))
    with pytest.raises(MedtlError, match="as many"):
        kind_of_shift(x, y, x[:, :1], y)
    with pytest.raises(MedtlError, match="n integers"):
        kind_of_shift(x, y / 2, x, y)
