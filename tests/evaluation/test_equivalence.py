"""Equivalence and non-inferiority against statsmodels, at the margin, and Holm against its definition."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_paired

from medtl_core.errors import MedtlError
from medtl_core.evaluation.statistics import equivalence, holm, mean_t, non_inferiority, paired_t


@pytest.mark.parametrize("seed", range(4))
def test_equals_statsmodels(seed):
    rng = np.random.default_rng(seed)
    treatment, control = rng.normal(0.9, 0.01, 6), rng.normal(0.9, 0.01, 6)
    p_value, interval = equivalence(treatment - control, 0.01)
    assert p_value == pytest.approx(ttost_paired(treatment, control, -0.01, 0.01)[0], rel=1e-9)
    low, high = stats.ttest_rel(treatment, control).confidence_interval(0.9)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-12)
    assert (p_value < 0.05) == (interval.low > -0.01 and interval.high < 0.01)


@pytest.mark.parametrize("seed", range(4))
def test_non_inferiority_equals_a_one_sided_t_test(seed):
    differences = np.random.default_rng(seed).normal(-0.005, 0.01, 6)
    above = stats.ttest_1samp(differences, -0.01, alternative="greater").pvalue
    below = stats.ttest_1samp(differences, 0.01, alternative="less").pvalue
    assert non_inferiority(differences, 0.01)[0] == pytest.approx(above, rel=1e-9)
    assert non_inferiority(differences, 0.01, "lower")[0] == pytest.approx(below, rel=1e-9)
    assert equivalence(differences, 0.01)[0] == pytest.approx(max(above, below), rel=1e-9)


def test_an_interval_is_tested_like_its_values():
    control = np.array([0.81, 0.82, 0.80, 0.83])
    treatment = control + np.array([0.001, -0.002, 0.0, 0.003])
    p_of_values, of_values = equivalence(treatment - control, 0.01)
    p_of_interval, of_interval = equivalence(paired_t(treatment, control), 0.01)
    assert p_of_interval == pytest.approx(p_of_values)
    assert (of_interval.low, of_interval.high) == pytest.approx((of_values.low, of_values.high))


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("margin", [0.01, 0.005, 0.1 / 3])
def test_moving_a_metric_by_its_margin_is_noticed_every_time(margin, sign):
    """The same run, moved by exactly its margin: round-off of the shift must not make it equivalent."""
    rng = np.random.default_rng(0)
    for _ in range(100):
        control = rng.uniform(0.5, 0.95, 5)
        assert equivalence(paired_t(control + sign * margin, control), margin)[0] == 1.0
        assert equivalence(paired_t(control + 0.99 * sign * margin, control), margin)[0] == 0.0
        assert equivalence(control + sign * margin - control, margin)[0] == 1.0


@pytest.mark.slow
def test_false_equivalence_on_the_margin_stays_at_five_percent():
    rng = np.random.default_rng(1)
    studies = rng.normal(0.01, 0.002, (2000, 5))
    tolerance = 3 * np.sqrt(0.95 * 0.05 / 2000)
    equivalent = np.mean([equivalence(v, 0.01)[0] < 0.05 for v in studies])
    not_inferior = np.mean([non_inferiority(-v, 0.01)[0] < 0.05 for v in studies])
    assert equivalent == pytest.approx(0.05, abs=tolerance)
    assert not_inferior == pytest.approx(0.05, abs=tolerance)


@pytest.mark.slow
def test_equal_arms_are_found_equivalent_with_the_expected_power():
    sd, n, margin = 0.004, 6, 0.01
    rng = np.random.default_rng(2)
    found = np.mean([equivalence(v, margin)[0] < 0.05 for v in rng.normal(0, sd, (2000, n))])
    # Oracle: |mean| < margin - t s / sqrt(n), mean and s independent, integrated over the chi distribution.
    s = sd * np.sqrt(stats.chi2.ppf((np.arange(5000) + 0.5) / 5000, n - 1) / (n - 1))
    room = np.maximum(margin - stats.t.ppf(0.95, n - 1) * s / np.sqrt(n), 0) / (sd / np.sqrt(n))
    expected = np.mean(2 * stats.norm.cdf(room) - 1)
    assert found == pytest.approx(expected, abs=3 * np.sqrt(expected * (1 - expected) / 2000))


def test_bad_margins_and_directions():
    for margin in (0.0, -0.01, np.nan, np.inf):
        with pytest.raises(MedtlError, match="margin"):
            equivalence([0.1, 0.2], margin)
    with pytest.raises(MedtlError, match="direction: 'up' found"):
        non_inferiority([0.1, 0.2], 0.01, "up")
    with pytest.raises(MedtlError, match="at least two seeds"):
        equivalence([0.1], 0.01)


def test_holm_on_paper():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([0.2]) == pytest.approx([0.2])
    assert holm([]) == []


@pytest.mark.parametrize("n", [1, 2, pytest.param(25, marks=pytest.mark.slow)])
def test_holm_equals_statsmodels(n):
    p_values = np.random.default_rng(n).random(n) ** 2
    p_values[-1] = p_values[0]
    assert holm(p_values.tolist()) == pytest.approx(multipletests(p_values, method="holm")[1], abs=1e-12)


@pytest.mark.slow
def test_holm_keeps_the_family_at_five_percent():
    rng = np.random.default_rng(3)
    families = [[mean_t(v).p_value for v in rng.normal(size=(8, 5))] for _ in range(400)]
    wrong = np.mean([min(holm(p)) < 0.05 for p in families])
    assert wrong <= 0.05 + 3 * np.sqrt(0.95 * 0.05 / 400)
    assert np.mean([min(p) < 0.05 for p in families]) > 0.25


@pytest.mark.parametrize("bad", [np.nan, -0.1, 1.1])
def test_holm_refuses_what_is_no_p_value(bad):
    with pytest.raises(MedtlError, match="found at position 1"):
        holm([0.5, bad])
