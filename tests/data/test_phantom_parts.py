"""Anatomy, lesions and acquisition, each against a closed form or a second way to compute it."""

import numpy as np
import pytest
from scipy import ndimage

from medtl_core.data.phantoms import acquisition, anatomy, lesions
from medtl_core.data.phantoms.acquisition import AcquisitionStyle

QUIET = AcquisitionStyle(blur=0, noise=0, bias_field=0)


def rng(seed=0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_squared_radius_by_turning_each_pixel():
    ellipse, size = (0.2, -0.1, 0.5, 0.3, 0.7), 16
    found = anatomy.squared_radius(np.array([[ellipse]], np.float32), size)[0, 0]
    x, y, a, b, angle = ellipse
    for row, column in ((0, 0), (3, 12), (8, 8), (15, 2)):
        dx, dy = (column + 0.5) / 8 - 1 - x, (row + 0.5) / 8 - 1 - y
        along, across = dx * np.cos(angle) + dy * np.sin(angle), -dx * np.sin(angle) + dy * np.cos(angle)
        assert found[row, column] == pytest.approx((along / a) ** 2 + (across / b) ** 2, rel=1e-4)


def test_area_of_a_rendered_ellipse():
    squared = anatomy.squared_radius(np.array([[[0.1, 0.0, 0.6, 0.35, 0.4]]], np.float32), 256)
    area = anatomy.inside(squared, 0.05).sum() * (2 / 256) ** 2
    assert area == pytest.approx(np.pi * 0.6 * 0.35, rel=0.01)


def test_views_move_turn_and_scale():
    views = anatomy.Views(
        shift=np.array([[0.1, -0.2]], np.float32),
        angle=np.array([np.pi / 2], np.float32),
        scale=np.array([2.0], np.float32),
    )
    seen = anatomy.seen_from(np.array([[[0.3, 0.0, 0.1, 0.05, 0.2]]], np.float32), views)[0, 0]
    np.testing.assert_allclose(seen, [0.1, 0.4, 0.2, 0.1, 0.2 + np.pi / 2], atol=1e-6)


def test_texture_has_its_power_law():
    exponents = np.array([2.0, 3.0], np.float32)
    texture = anatomy.power_law_texture(np.repeat([0, 1], 60), exponents, 64, rng())
    np.testing.assert_allclose(texture.mean(axis=(1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(texture.var(axis=(1, 2)), 1, rtol=1e-3)
    power = np.abs(np.fft.fft2(texture)) ** 2
    cycles = np.hypot(*np.meshgrid(np.fft.fftfreq(64, 1 / 64), np.fft.fftfreq(64, 1 / 64)))
    band = (cycles >= 2) & (cycles <= 24)
    for k, exponent in enumerate(exponents):
        mean = power[60 * k : 60 * k + 60].mean(axis=0)
        slope = np.polyfit(np.log(cycles[band]), np.log(mean[band]), 1)[0]
        assert -slope == pytest.approx(exponent, abs=0.15)


def test_images_of_a_patient_share_half_of_the_texture():
    patient = np.repeat(np.arange(200), 2)
    texture = anatomy.power_law_texture(patient, np.full(200, 2.0, np.float32), 32, rng()).reshape(200, 2, -1)
    same = np.mean(texture[:, 0] * texture[:, 1])
    other = np.mean(texture[:-1, 0] * texture[1:, 1])
    assert same == pytest.approx(anatomy.PATIENT_SHARE, abs=0.05)
    assert other == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize("name", lesions.FAMILIES)
def test_every_family_has_the_area_of_its_circle_and_a_standardised_texture(name):
    n, size = 20, 128
    family = np.full(n, name)
    drawn = lesions.Lesions(
        centre=np.full((n, 2), 0.05, np.float32),
        radius=np.full(n, 0.3, np.float32),
        outline=lesions.draw_outlines(family, 1.0, rng()),
        contrast=np.full(n, 0.2, np.float32),
        family=family,
    )
    alpha, texture = lesions.render_lesions(drawn, size, rng(1))
    np.testing.assert_allclose(np.mean(drawn.outline**2, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(alpha.sum((1, 2)) * (2 / size) ** 2, np.pi * 0.3**2, rtol=0.04)
    weight = alpha / alpha.sum((1, 2), keepdims=True)
    np.testing.assert_allclose((weight * texture).sum((1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose((weight * texture**2).sum((1, 2)), 1, rtol=1e-4)


def test_outlines_differ_in_their_number_of_bumps():
    peaks = {}
    for name in ("smooth", "lobed", "spiculated"):
        outline = lesions.draw_outlines(np.full(200, name), 1.0, rng(2))
        top = (outline > np.roll(outline, 1, 1)) & (outline >= np.roll(outline, -1, 1))
        peaks[name] = top.sum(axis=1).mean()
    assert peaks["smooth"] < 3
    assert 3 <= peaks["lobed"] < 6
    assert peaks["spiculated"] > 6


def test_noise_has_its_standard_deviation():
    grey = np.full((40, 32, 32), 0.5, np.float32)
    style = AcquisitionStyle(blur=0, noise=0.04, bias_field=0, gamma=1)
    images = acquisition.acquire_grey(grey, style, rng()).astype(float)
    assert images.std(axis=(1, 2)).mean() == pytest.approx(0.04 * 255, rel=0.02)


def test_gamma_darkens_mid_grey_as_its_power():
    grey = np.full((4000, 2, 2), 0.25, np.float32)
    images = acquisition.acquire_grey(grey, AcquisitionStyle(blur=0, noise=0, bias_field=0, gamma=2.0), rng())
    assert np.median(images) / 255 == pytest.approx(0.25**2, abs=0.004)


def test_blur_is_that_of_scipy_in_pixels_of_a_64_px_image():
    grey = rng().uniform(size=(3, 128, 128)).astype(np.float32)
    sharp = acquisition.acquire_grey(grey, QUIET, rng(1))
    images = acquisition.acquire_grey(grey, AcquisitionStyle(blur=1.0, noise=0, bias_field=0), rng(1))
    assert sharp.std() > 2 * images.std()
    expected = np.stack([ndimage.gaussian_filter(g, 2.0, mode="nearest") for g in grey])
    agreement = [np.corrcoef(i.ravel(), e.ravel())[0, 1] for i, e in zip(images, expected, strict=True)]
    assert min(agreement) > 0.999


def test_the_bias_field_is_smooth_and_as_strong_as_said():
    grey = np.full((200, 32, 32), 0.5, np.float32)
    flat = acquisition.acquire_grey(grey, QUIET, rng())
    assert np.all(np.ptp(flat, axis=(1, 2)) == 0)
    biased = acquisition.acquire_grey(grey, AcquisitionStyle(blur=0, noise=0, bias_field=0.4), rng())
    spread = np.ptp(biased, axis=(1, 2)) / biased.mean(axis=(1, 2))
    assert 0.35 < np.median(spread) < 0.65
    assert np.abs(np.diff(biased.astype(int), axis=2)).max() <= 8


def test_stains_absorb_by_beer_and_lambert():
    """Oracle: optical density is the sum of the stains' densities, whatever their strength varies to."""
    n = 50
    grey = np.full((n, 8, 8), 0.6, np.float32)
    grey[:, :, 4:] = 0
    organs, body = np.zeros_like(grey), np.ones_like(grey)
    images = acquisition.acquire_stained(
        organs, body, grey, AcquisitionStyle(blur=0, noise=0, bias_field=0), rng()
    )
    empty, tissue = images[:, 0, 7].astype(float), images[:, 0, 0].astype(float)
    density = np.log(empty) - np.log(tissue)
    stains = np.stack([acquisition.HAEMATOXYLIN, acquisition.EOSIN], axis=1)
    amounts, residual, *_ = np.linalg.lstsq(stains, density.T, rcond=None)
    assert np.all(residual < 2e-3)
    assert np.median(amounts[0]) == pytest.approx(1.6 * (0.6 - 0.32), rel=0.08)
    assert np.median(amounts[1]) == pytest.approx(0.75 * 0.6, rel=0.08)
    assert empty.min() > 225


def test_stain_strength_and_mixing_change_the_colour():
    grey, body = np.full((60, 8, 8), 0.6, np.float32), np.ones((60, 8, 8), np.float32)
    base = {"blur": 0.0, "noise": 0.0, "bias_field": 0.0}
    plain, strong, mixed = (
        acquisition.acquire_stained(body, body, grey, AcquisitionStyle(**base, **change), rng()).mean(
            (0, 1, 2)
        )
        for change in ({}, {"haematoxylin": 1.8}, {"stain_mixing": 0.4})
    )
    assert strong[0] < plain[0] - 20
    assert np.abs(mixed - plain).max() > 5


@pytest.mark.parametrize("shape", [(50, 64, 64), (50, 28, 28, 3)])
def test_marks_are_stamped_on_the_marked_images_only(shape):
    images, marked = np.zeros(shape, np.uint8), np.arange(50) % 2 == 0
    acquisition.stamp_marks(images, marked, rng())
    lit = (images == 245).reshape(50, -1).sum(axis=1)
    length, stroke = max(3, round(shape[1] / 12)), max(1, round(shape[1] / 48))
    bright = (length**2 - (length - stroke) ** 2) * (3 if len(shape) == 4 else 1)
    np.testing.assert_array_equal(lit, np.where(marked, bright, 0))
    assert len({image.tobytes() for image in images[marked]}) > 3
