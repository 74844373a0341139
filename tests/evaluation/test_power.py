"""Power and detectable effect against an integral and against planted effects."""

import numpy as np
import pytest
from scipy import integrate, stats

from medtl_core.errors import MedtlError
from medtl_core.evaluation.statistics import detectable_effect, mean_t, power_paired_t


def power_by_integration(ratio: float, n: int, confidence: float) -> float:
    """P(|mean / (s / sqrt n)| > t) over the chi distribution of s, without the noncentral t."""
    critical = stats.t.ppf(0.5 + confidence / 2, n - 1) / np.sqrt(n - 1)

    def density(chi: float) -> float:
        bound, shift = critical * chi, ratio * np.sqrt(n)
        return stats.chi.pdf(chi, n - 1) * (stats.norm.sf(bound - shift) + stats.norm.cdf(-bound - shift))

    return integrate.quad(density, 0, np.sqrt(n - 1) + 10, limit=200)[0]


@pytest.mark.parametrize("n", [3, 5, 10, 40])
@pytest.mark.parametrize("ratio", [0.0, 0.5, -1.5, 3.0])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_power_equals_the_integral(n, ratio, confidence):
    expected = power_by_integration(ratio, n, confidence)
    assert power_paired_t(0.02 * ratio, 0.02, n, confidence) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("n", [2, 3, 5, 10, 100])
@pytest.mark.parametrize("power", [0.5, 0.8, 0.95])
def test_detectable_effect_is_found_with_its_power(n, power):
    effect = detectable_effect(0.02, n, power)
    assert power_paired_t(effect, 0.02, n) == pytest.approx(power, abs=1e-9)
    assert power_by_integration(effect / 0.02, n, 0.95) == pytest.approx(power, abs=1e-6)


def test_detectable_effect_scales_and_falls_with_seeds():
    assert detectable_effect(0.04, 5) == pytest.approx(2 * detectable_effect(0.02, 5))
    effects = [detectable_effect(0.02, n) for n in (3, 5, 10, 20)]
    assert effects == sorted(effects, reverse=True)
    normal_approximation = 0.02 * (stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) / np.sqrt(5)
    assert detectable_effect(0.02, 5) > 1.3 * normal_approximation
    assert detectable_effect(0.02, 1000) == pytest.approx(normal_approximation * np.sqrt(5 / 1000), rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("n", [5, 10])
def test_planted_effect_comes_up_with_the_computed_power(n):
    effect = detectable_effect(0.02, n, 0.8)
    studies = np.random.default_rng(n).normal(effect, 0.02, (3000, n))
    found = np.mean([mean_t(study).low > 0 for study in studies])
    assert found == pytest.approx(0.8, abs=3 * np.sqrt(0.8 * 0.2 / 3000))


def test_without_spread_every_effect_is_found():
    assert detectable_effect(0.0, 5) == 0.0
    assert power_paired_t(0.001, 0.0, 5) == 1.0
    assert power_paired_t(0.0, 0.0, 5) == 0.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.1, -1.0, 5), "sd: -1.0"),
        ((0.1, np.nan, 5), "sd: nan"),
        ((0.1, 1.0, 1), "n: 1 seeds"),
        ((np.nan, 1.0, 5), "effect: nan"),
        ((0.1, 1.0, 5, 95), "confidence: 95"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(MedtlError, match=message):
        power_paired_t(*arguments)


@pytest.mark.parametrize("power", [0.05, 1.0, 80])
def test_impossible_power(power):
    with pytest.raises(MedtlError, match="power"):
        detectable_effect(0.02, 5, power)
