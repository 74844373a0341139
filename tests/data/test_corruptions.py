"""Graded corruptions: exact values, known spreads, and what one must leave alone."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from medtl_core.data.corruptions import SEVERITIES, corrupt, corruption_kinds
from medtl_core.errors import MedtlError

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (3, 64, 64), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize("images", [GREY, COLOUR], ids=["grey", "colour"])
def test_severity_0_changes_nothing_and_every_step_moves_further(images):
    for kind in corruption_kinds(1 if images.ndim == 3 else 3):
        kept = images.copy()
        changes = [
            np.abs(corrupt(images, kind, severity).astype(float) - images).mean() for severity in range(5)
        ]
        assert changes[0] == 0
        assert np.all(np.diff(changes) > 0), kind
        assert np.array_equal(images, kept)


def test_gamma_is_a_power_of_the_grey_value():
    expected = np.rint(255 * (GREY / 255.0) ** SEVERITIES["gamma"][3])
    assert np.abs(corrupt(GREY, "gamma", 3) - expected).max() <= 1


def test_blur_is_a_gaussian_in_pixels_of_a_64_px_image():
    expected = np.stack([gaussian_filter(image.astype(float), 1.7, mode="nearest") for image in GREY])
    assert np.abs(corrupt(GREY, "blur", 2) - expected).max() <= 1
    small = corrupt(COLOUR, "blur", 2)
    channel = gaussian_filter(COLOUR[1, ..., 2].astype(float), 0.85, mode="nearest")
    assert np.abs(small[1, ..., 2] - channel).max() <= 1


def test_noise_has_its_spread_and_its_seed():
    flat = np.full((4, 64, 64), 128, np.uint8)
    noisy = corrupt(flat, "noise", 2, seed=1)
    assert noisy.std() / 255 == pytest.approx(SEVERITIES["noise"][2], rel=0.03)
    assert noisy.mean() == pytest.approx(128, abs=0.5)
    assert np.array_equal(noisy, corrupt(flat, "noise", 2, seed=1))
    assert not np.array_equal(noisy, corrupt(flat, "noise", 2, seed=2))


def test_stain_darkens_haematoxylin_and_leaves_white_alone():
    haematoxylin = np.array([0.65, 0.70, 0.29])
    image = np.full((1, 8, 8, 3), 255, np.uint8)
    image[:, 4:] = np.rint(255 * np.exp(-0.5 * haematoxylin / np.linalg.norm(haematoxylin)))
    stained = corrupt(image, "stain", 3)
    expected = 255 * np.exp(-0.5 * SEVERITIES["stain"][3] * haematoxylin / np.linalg.norm(haematoxylin))
    assert np.abs(stained[0, 6, 4] - expected).max() <= 3
    assert stained[0, 0, 0].min() >= 253


def test_stain_leaves_colours_without_haematoxylin_alone():
    image = np.empty((1, 4, 4, 3), np.uint8)
    image[:] = [250, 245, 150]
    assert np.abs(corrupt(image, "stain", 4).astype(int) - image).max() <= 1


def test_what_cannot_be_corrupted_is_refused():
    with pytest.raises(MedtlError, match="found 'fog', expected one of gamma"):
        corrupt(GREY, "fog", 1)
    with pytest.raises(MedtlError, match="found severity 5, expected 0 to 4"):
        corrupt(GREY, "blur", 5)
    with pytest.raises(MedtlError, match="found grey images"):
        corrupt(GREY, "stain", 1)
    with pytest.raises(MedtlError, match="expected uint8"):
        corrupt(GREY / 255, "gamma", 1)
