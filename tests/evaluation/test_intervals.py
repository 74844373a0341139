"""t-intervals against SciPy, on simulated nulls and at the edges."""

import numpy as np
import pytest
from scipy import stats

from medtl_core.errors import MedtlError
from medtl_core.evaluation.statistics import brown_forsythe, mean_t, paired_t


@pytest.mark.parametrize("n", [2, 5, 10])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_equals_scipy(n, confidence):
    rng = np.random.default_rng(n)
    treatment, control = rng.normal(0.9, 0.02, n), rng.normal(0.88, 0.03, n)
    found = paired_t(treatment, control, confidence)
    oracle = stats.ttest_rel(treatment, control)
    low, high = oracle.confidence_interval(confidence)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-12)
    assert found.p_value == pytest.approx(oracle.pvalue, rel=1e-9)
    assert found.estimate == pytest.approx(np.mean(treatment - control), abs=1e-12)
    assert found.sd == pytest.approx(np.std(treatment - control, ddof=1), abs=1e-12)
    assert (found.n, found.degrees_of_freedom) == (n, n - 1)
    one_sample = mean_t(treatment - control, confidence)
    assert (one_sample.low, one_sample.high) == pytest.approx((low, high), abs=1e-12)


@pytest.mark.slow
def test_five_seeds_cover_95_percent_and_a_percentile_bootstrap_does_not():
    rng = np.random.default_rng(0)
    studies = rng.normal(0.01, 0.02, (2500, 5))
    covered = np.mean([(i := mean_t(v)).low <= 0.01 <= i.high for v in studies])
    assert covered == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / 2500))
    draws = studies[:, rng.integers(5, size=(500, 5))].mean(axis=2)
    low, high = np.quantile(draws, [0.025, 0.975], axis=1)
    assert np.mean((low <= 0.01) & (high >= 0.01)) == pytest.approx(0.84, abs=0.02)


@pytest.mark.slow
def test_false_positives_stay_at_five_percent():
    rng = np.random.default_rng(1)
    rejected = np.mean([paired_t(*rng.normal(0.9, 0.02, (2, 5))).p_value < 0.05 for _ in range(2500)])
    assert rejected == pytest.approx(0.05, abs=3 * np.sqrt(0.95 * 0.05 / 2500))


def test_pairing_removes_what_both_arms_share():
    rng = np.random.default_rng(2)
    seed_effect = rng.normal(0, 0.05, 8)
    control = 0.8 + seed_effect
    treatment = control + 0.01 + rng.normal(0, 0.001, 8)
    assert paired_t(treatment, control).p_value < 1e-4
    assert stats.ttest_ind(treatment, control).pvalue > 0.3


def test_equal_differences_have_no_width():
    control = np.array([0.8, 0.7, 0.9])
    shifted, same = paired_t(control + 0.01, control), paired_t(control, control)
    assert (shifted.sd, shifted.p_value) == (0.0, 0.0)
    assert shifted.low == shifted.high == pytest.approx(0.01)
    assert (same.estimate, same.low, same.high, same.p_value) == (0.0, 0.0, 0.0, 1.0)
    assert paired_t(np.array([0.1, 0.7]) + 0.2, np.array([0.3, 0.9])).p_value == 1.0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0.1], r"shape \(1,\)"),
        ([], r"shape \(0,\)"),
        ([[1, 2]], r"shape \(1, 2\)"),
        ([1.0, np.nan], "nan found at position 1"),
    ],
)
def test_bad_values(values, message):
    for call in (mean_t, lambda v: paired_t(v, v), lambda v: brown_forsythe(v, v)):
        with pytest.raises(MedtlError, match=message) as raised:
            call(values)
        assert "\n" not in str(raised.value)


def test_unequal_numbers_of_seeds_and_a_confidence_in_percent():
    with pytest.raises(MedtlError, match="3 treatment and 2 control"):
        paired_t([1, 2, 3], [1, 2])
    with pytest.raises(MedtlError, match="confidence: 95"):
        mean_t([1, 2, 3], confidence=95)


@pytest.mark.slow
def test_brown_forsythe_equals_scipy_and_finds_a_planted_ratio():
    rng = np.random.default_rng(3)
    wide, narrow = rng.normal(0, 3, 40), rng.normal(0, 1, 40)
    found = brown_forsythe(wide, narrow)
    assert found.p_value == pytest.approx(stats.levene(wide, narrow, center="median").pvalue, rel=1e-12)
    assert found.p_value < 0.001
    assert found.ratio == pytest.approx(wide.std(ddof=1) / narrow.std(ddof=1))
    nulls = [brown_forsythe(*rng.normal(size=(2, 10))).p_value < 0.05 for _ in range(1000)]
    assert np.mean(nulls) <= 0.05 + 3 * np.sqrt(0.95 * 0.05 / 1000)


def test_brown_forsythe_without_spread():
    assert brown_forsythe([0.5, 0.5, 0.5], [0.7, 0.7, 0.7]).p_value == 1.0
    assert brown_forsythe([0.5, 0.6, 0.7], [0.7, 0.7, 0.7]).ratio == np.inf
