"""The known Bayes error against the F distribution, a density by SciPy and the observer's own mistakes."""

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression

from medtl_core.data.phantoms import known_bayes
from medtl_core.data.phantoms.known_bayes import draw_known_bayes, power_ratio
from medtl_core.errors import MedtlError

N = 20_000


@pytest.mark.parametrize(
    "error", [pytest.param(0.05, marks=pytest.mark.slow), 0.1, pytest.param(0.3, marks=pytest.mark.slow)]
)
def test_the_ideal_observer_errs_as_often_as_stated(error):
    drawn = draw_known_bayes(N, seed=1, error=error)
    wrong = (drawn.posterior.argmax(axis=1) != drawn.labels).mean()
    assert wrong == pytest.approx(error, abs=4 * np.sqrt(error * (1 - error) / N))
    assert drawn.posterior.min(axis=1).mean() == pytest.approx(error, abs=0.005)
    assert drawn.bayes_error == error


def test_power_ratio_is_a_quantile_of_f():
    assert stats.f.cdf(1 / power_ratio(0.1, 6), 6, 6) == pytest.approx(0.1)


def test_posterior_is_bayes_rule_on_the_full_density():
    """Oracle: SciPy's multivariate normal with the covariance that the power spectrum implies."""
    size = 12
    drawn = draw_known_bayes(40, size=size, seed=3)
    across = known_bayes._band(size)
    ratio = power_ratio(0.1, int(across.sum()))
    power = np.full((2, size, size), known_bayes.BACKGROUND)
    power[0][across], power[0][across.T] = ratio, 1.0
    power[1][across], power[1][across.T] = 1.0, ratio
    fourier = np.fft.fft2(np.eye(size**2).reshape(-1, size, size), norm="ortho").reshape(size**2, -1)
    grey_per_unit = known_bayes.GREY_PER_SD / np.sqrt(power[0].mean())
    x = (drawn.images.reshape(40, -1) - 128.0) / grey_per_unit
    covariances = [(fourier * p.ravel() @ fourier.conj().T).real for p in power]
    logs = np.stack([stats.multivariate_normal(np.zeros(size**2), c).logpdf(x) for c in covariances])
    expected = 1 / (1 + np.exp(logs[0] - logs[1]))
    np.testing.assert_allclose(drawn.posterior[:, 1], expected, rtol=1e-6)


@pytest.mark.slow
def test_posterior_is_calibrated():
    drawn = draw_known_bayes(N, seed=2)
    for low in (0.1, 0.4, 0.7):
        here = (drawn.posterior[:, 1] >= low) & (drawn.posterior[:, 1] < low + 0.2)
        assert drawn.labels[here].mean() == pytest.approx(drawn.posterior[here, 1].mean(), abs=0.04)


@pytest.mark.slow
def test_label_noise_raises_the_bayes_error():
    drawn = draw_known_bayes(N, seed=1, error=0.1, label_noise=0.2)
    assert drawn.bayes_error == pytest.approx(0.2 + 0.6 * 0.1)
    wrong = (drawn.posterior.argmax(axis=1) != drawn.labels).mean()
    assert wrong == pytest.approx(drawn.bayes_error, abs=0.012)


def test_a_linear_classifier_is_at_chance():
    train, test = draw_known_bayes(4000, seed=5), draw_known_bayes(4000, seed=6)
    flat = [d.images.reshape(len(d.images), -1) / 255 for d in (train, test)]
    assert LogisticRegression(C=0.01).fit(flat[0], train.labels).score(flat[1], test.labels) < 0.54


def test_images_use_the_grey_range_and_follow_the_seed():
    drawn = draw_known_bayes(500, seed=7)
    assert drawn.images.dtype == np.uint8
    assert drawn.images.std() == pytest.approx(known_bayes.GREY_PER_SD, rel=0.05)
    assert (drawn.images == 0).mean() + (drawn.images == 255).mean() < 0.001
    np.testing.assert_array_equal(drawn.images, draw_known_bayes(500, seed=7).images)
    assert not np.array_equal(drawn.images, draw_known_bayes(500, seed=8).images)


WRONG = [{"n": 0}, {"size": 8}, {"error": 0.5}, {"error": 0.0}, {"label_noise": 0.5}]


@pytest.mark.parametrize("wrong", WRONG)
def test_parameters_out_of_range(wrong):
    with pytest.raises(MedtlError, match="known Bayes"):
        draw_known_bayes(**({"n": 4} | wrong))
