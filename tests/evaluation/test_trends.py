"""Trends against SciPy, on simulated nulls and with planted slopes."""

import numpy as np
import pytest
from scipy import stats

from medtl_core.errors import MedtlError
from medtl_core.evaluation.statistics import mean_t, power_paired_t, slope, spearman_trend

LEVELS = np.array([32, 64, 128, 256, 512])


@pytest.mark.parametrize(("scale", "positions"), [("linear", LEVELS), ("log2", np.log2(LEVELS))])
def test_slope_equals_scipy_per_seed(scale, positions):
    curves = np.random.default_rng(0).normal(size=(6, 5))
    oracle = mean_t([stats.linregress(positions, curve).slope for curve in curves])
    found = slope(LEVELS, curves, scale)
    assert (found.estimate, found.low, found.high) == pytest.approx(
        (oracle.estimate, oracle.low, oracle.high)
    )
    assert found.p_value == pytest.approx(oracle.p_value)
    assert found.n == 6


def test_spearman_equals_scipy_per_seed_with_ties():
    curves = np.random.default_rng(1).integers(0, 3, size=(7, 5)).astype(float)
    oracle = mean_t([stats.spearmanr(LEVELS, curve).statistic for curve in curves])
    found = spearman_trend(LEVELS, curves)
    assert (found.estimate, found.p_value) == pytest.approx((oracle.estimate, oracle.p_value))


def test_order_of_the_levels_does_not_matter():
    curves = np.random.default_rng(2).normal(size=(4, 5))
    shuffled = np.array([3, 0, 4, 1, 2])
    for trend in (slope, spearman_trend):
        found = trend(LEVELS[shuffled], curves[:, shuffled])
        assert found.estimate == pytest.approx(trend(LEVELS, curves).estimate)


def test_a_doubling_is_one_unit_on_log2():
    curves = np.tile(0.7 + 0.03 * np.log2(LEVELS), (3, 1))
    found = slope(LEVELS, curves, "log2")
    assert found.low == found.high == pytest.approx(0.03)
    assert found.p_value == 0.0


def test_flat_and_monotone_curves():
    flat = np.full((5, 5), 0.93)
    assert slope(LEVELS, flat).p_value == spearman_trend(LEVELS, flat).p_value == 1.0
    rising = np.array([[1, 2, 3, 4, 5], [1, 2, 3, 5, 4], [2, 1, 3, 4, 5]])
    found = spearman_trend(LEVELS, rising)
    assert found.high == 1.0
    assert found.low > 0


@pytest.mark.slow
def test_without_a_trend_five_percent_come_up():
    rng = np.random.default_rng(3)
    curves = rng.normal(size=(1500, 5, 4))
    tolerance = 3 * np.sqrt(0.95 * 0.05 / 1500)
    assert np.mean([slope(LEVELS[:4], c, "log2").p_value < 0.05 for c in curves]) == pytest.approx(
        0.05, abs=tolerance
    )
    for n_levels in (3, 4):
        rising = np.mean([spearman_trend(LEVELS[:n_levels], c[:, :n_levels]).low > 0 for c in curves])
        assert rising <= 0.05


def test_planted_slope_comes_up_with_its_power():
    rng = np.random.default_rng(4)
    positions = np.log2(LEVELS)
    noise, true_slope = 0.02, 0.006
    sd = noise / np.sqrt(np.sum((positions - positions.mean()) ** 2))
    expected = power_paired_t(true_slope, sd, 5)
    curves = true_slope * positions + rng.normal(0, noise, (1500, 5, 5))
    found = np.mean([slope(LEVELS, c, "log2").p_value < 0.05 for c in curves])
    assert 0.3 < expected < 0.95
    assert found == pytest.approx(expected, abs=3 * np.sqrt(expected * (1 - expected) / 1500))


@pytest.mark.parametrize("trend", [slope, spearman_trend])
def test_bad_studies(trend):
    curves = np.zeros((5, 3))
    with pytest.raises(MedtlError, match="distinct finite levels"):
        trend([1, 1, 1], curves)
    with pytest.raises(MedtlError, match=r"shape \(5, 3\) found, expected \(S, 4\)"):
        trend([1, 2, 3, 4], curves)
    with pytest.raises(MedtlError, match="NaN or infinity"):
        trend([1, 2, 3], np.full((5, 3), np.nan))
    with pytest.raises(MedtlError, match="at least two seeds"):
        trend([1, 2, 3], curves[:1])


def test_two_levels_have_a_slope_but_no_rank_correlation():
    assert slope([1, 2], [[0.0, 1.0], [0.0, 3.0]]).estimate == 2.0
    with pytest.raises(MedtlError, match="at least 3 distinct"):
        spearman_trend([1, 2], [[0.0, 1.0], [0.0, 3.0]])


def test_bad_scales():
    with pytest.raises(MedtlError, match="expected positive ones with log2"):
        slope([0, 1], np.zeros((2, 2)), "log2")
    with pytest.raises(MedtlError, match="scale: 'ln'"):
        slope([1, 2], np.zeros((2, 2)), "ln")
