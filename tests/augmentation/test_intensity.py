"""Grey-value transforms: moments of the noise, SciPy's blur, exact powers and shifts."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from medtl_core.augmentation.intensity import (
    INTENSITY,
    count_quanta,
    gaussian_blur,
    shift_brightness,
    stretch_contrast,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def grey(value, n=300):
    return torch.full((n, 1, 32, 32), value, dtype=torch.float64)


@pytest.mark.parametrize("strength", [0.5, 1.0])
@pytest.mark.parametrize(
    ("name", "value", "largest"),
    [("gaussian_noise", 0.5, 0.1), ("speckle_noise", 0.25, 0.2 * 0.25), ("poisson_noise", 0.25, 0.1 * 0.5)],
)
def test_noise_has_its_moments(name, value, largest, strength):
    """Each image's standard deviation is drawn evenly; that of Poisson grows with the root."""
    noisy = INTENSITY[name](grey(value), strength, generator())
    assert noisy.mean() == pytest.approx(value, abs=2e-3)
    spreads = noisy.flatten(1).std(1)
    assert spreads.mean() == pytest.approx(strength * largest / 2, rel=0.1)
    assert spreads.max() == pytest.approx(strength * largest, rel=0.1)
    assert spreads.min() < 0.05 * largest


def test_speckle_leaves_black_alone_and_grows_with_the_grey_value():
    assert INTENSITY["speckle_noise"](grey(0.0), 1.0, generator()).abs().max() == 0
    dark, light = (
        INTENSITY["speckle_noise"](grey(v), 1.0, generator()).flatten(1).std(1) for v in (0.2, 0.4)
    )
    np.testing.assert_allclose(light / dark, 2, rtol=1e-6)


def test_counts_of_quanta_have_the_mean_and_variance_of_poisson():
    x = torch.full((1, 1, 400, 400), 0.3, dtype=torch.float64)
    counted = count_quanta(x, torch.tensor(50.0).double(), generator())
    assert counted.mean() == pytest.approx(0.3, abs=1e-3)
    assert counted.var() == pytest.approx(0.3 / 50, rel=0.02)
    torch.testing.assert_close((counted * 50).round(), counted * 50)


@pytest.mark.parametrize("spatial", [(24, 30), (4, 24, 30)])
def test_blur_is_that_of_scipy_for_each_image(spatial):
    images = np.random.default_rng(0).random((3, 2, *spatial))
    sigmas = np.array([0.0, 0.7, 2.0])
    found = gaussian_blur(torch.from_numpy(images), torch.from_numpy(sigmas)).numpy()
    for image, sigma, blurred in zip(images, sigmas, found, strict=True):
        expected = ndimage.gaussian_filter(image, sigma, mode="nearest", axes=(-2, -1), radius=8)
        np.testing.assert_allclose(blurred, expected if sigma else image, atol=1e-9)


def test_brightness_gamma_and_contrast_are_exact():
    x = torch.rand(1, 3, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(shift_brightness(x, 0.3), torch.from_numpy(np.clip(x.numpy() + 0.3, 0, 1)))
    mean = float(x.mean())
    expected = np.clip(mean + 1.4 * (x.numpy() - mean), 0, 1)
    torch.testing.assert_close(stretch_contrast(x, 1.4), torch.from_numpy(expected))


@pytest.mark.parametrize(("name", "largest"), [("intensity", 0.3), ("gamma", 0.5), ("contrast", 0.5)])
@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_draws_fill_their_range_and_no_more(name, largest, strength):
    x = torch.linspace(0.35, 0.65, 64, dtype=torch.float64).view(1, 1, 8, 8).expand(3000, -1, -1, -1)
    found = INTENSITY[name](x, strength, generator()).flatten(1)
    x = x.flatten(1)
    values = {
        "intensity": (found - x).mean(1),
        "gamma": (found.log() / x.log()).mean(1) - 1,
        "contrast": (found.std(1) / x.std(1)) - 1,
    }[name]
    limit = largest * strength
    assert values.abs().max() <= limit + 1e-9
    assert values.min() < -0.98 * limit
    assert values.max() > 0.98 * limit
    assert values.std() == pytest.approx(limit / np.sqrt(3), rel=0.05)
    assert values.mean() == pytest.approx(0, abs=0.05 * limit)


@pytest.mark.parametrize("name", INTENSITY)
def test_values_stay_in_range_and_the_input_stays_as_it_is(name):
    x = torch.rand(8, 1, 16, 16)
    kept = x.clone()
    found = INTENSITY[name](x, 1.0, generator())
    assert found.min() >= 0
    assert found.max() <= 1
    assert torch.equal(x, kept)
