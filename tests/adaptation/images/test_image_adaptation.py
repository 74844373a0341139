"""Histogram matching, Reinhard, Macenko, FDA against scikit-image, moments, planted stains, NumPy's FFT."""

import numpy as np
import pytest
from skimage import exposure
from skimage.color import rgb2lab

from medtl_core.adaptation.images import (
    Stain,
    fourier_adaptation,
    macenko_normalisation,
    match_histograms,
    reinhard_normalisation,
)
from medtl_core.errors import MedtlError

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 160, (3, 24, 24), dtype=np.uint8)
OTHER_GREY = RNG.integers(60, 256, (2, 24, 24), dtype=np.uint8)
COLOUR = RNG.integers(90, 150, (3, 24, 24, 3), dtype=np.uint8)
OTHER_COLOUR = RNG.integers(110, 190, (2, 24, 24, 3), dtype=np.uint8)
HAEMATOXYLIN, EOSIN = (np.array(v) / np.linalg.norm(v) for v in ([0.65, 0.70, 0.29], [0.15, 0.95, 0.28]))


@pytest.mark.parametrize(("images", "references"), [(GREY, OTHER_GREY), (COLOUR, OTHER_COLOUR)])
def test_histograms_are_matched_as_in_scikit_image(images, references):
    pooled = references.reshape(-1, *references.shape[2:])
    axis = -1 if images.ndim == 4 else None
    matched = match_histograms(images, references)
    for image, found in zip(images, matched, strict=True):
        if axis is None:
            expected = exposure.match_histograms(image, pooled)
        else:
            expected = exposure.match_histograms(image, pooled, channel_axis=axis)
        assert np.abs(found - expected.astype(float)).max() <= 1
    assert matched.dtype == np.uint8


def test_an_image_matched_to_itself_is_itself_and_one_of_two_values_on_paper():
    assert np.array_equal(match_histograms(GREY[:1], GREY[:1]), GREY[:1])
    two, four = np.array([[[0, 0, 9, 9]]], np.uint8), np.array([[[10, 20, 30, 40]]], np.uint8)
    assert match_histograms(two, four).tolist() == [[[20, 20, 40, 40]]]


def test_reinhard_gives_the_colour_of_the_references():
    found = rgb2lab(reinhard_normalisation(COLOUR, OTHER_COLOUR) / 255.0)
    wanted = rgb2lab(OTHER_COLOUR / 255.0).reshape(-1, 3)
    for lab in found:
        assert np.allclose(lab.reshape(-1, 3).mean(axis=0), wanted.mean(axis=0), atol=0.5)
        assert np.allclose(lab.reshape(-1, 3).std(axis=0), wanted.std(axis=0), rtol=0.05)


def test_reinhard_of_one_colour_is_the_mean_of_the_references():
    flat = np.full((1, 4, 4, 3), 120, np.uint8)
    found = rgb2lab(reinhard_normalisation(flat, OTHER_COLOUR) / 255.0)
    assert np.allclose(found, rgb2lab(OTHER_COLOUR / 255.0).reshape(-1, 3).mean(axis=0), atol=0.5)


def stained(vectors, strength, seed=0, size=64, count=1):
    """Tissue with known stains: each pixel mostly of one of the two, a border of glass."""
    rng = np.random.default_rng(seed)
    amounts = rng.gamma(3, 0.12, (count, size, size, 2)) + 0.25
    mostly = rng.random((count, size, size)) < 0.5
    amounts[..., 0] *= np.where(mostly, 1, 0.0)
    amounts[..., 1] *= np.where(mostly, 0.0, 1)
    density = amounts * strength @ np.stack(vectors)
    density[:, :4] = 0
    return np.rint(np.clip(256 * np.exp(-density) - 1, 0, 255)).astype(np.uint8), amounts


def test_macenko_finds_the_planted_stains():
    images, amounts = stained((HAEMATOXYLIN, EOSIN), [1.5, 1.2])
    stain = Stain.of(images, transparent=0.05)
    angle = np.degrees(np.arccos(np.clip((stain.vectors * [HAEMATOXYLIN, EOSIN]).sum(axis=1), -1, 1)))
    assert angle.max() < 2
    assert np.allclose(np.linalg.norm(stain.vectors, axis=1), 1)
    amounts[:, :4] = 0
    expected = np.percentile(amounts.reshape(-1, 2) * [1.5, 1.2], 99, axis=0)
    assert np.allclose(stain.strength, expected, rtol=0.05)


def test_macenko_shows_the_amounts_in_the_stains_of_the_references():
    other = (np.array([0.55, 0.76, 0.35]), np.array([0.25, 0.90, 0.35]))
    other = tuple(v / np.linalg.norm(v) for v in other)
    images, _ = stained((HAEMATOXYLIN, EOSIN), [1.5, 1.2])
    expected, _ = stained(other, [2.2, 1.7])
    references, _ = stained(other, [2.2, 1.7], seed=1, count=2)
    found = macenko_normalisation(images, references)
    assert np.abs(found.astype(int) - expected).mean() < 3
    assert np.abs(images.astype(int) - expected).mean() > 12
    assert found[0, 0, 0].min() >= 250
    assert np.abs(macenko_normalisation(images, images).astype(int) - images).mean() < 1.5


def test_fourier_takes_low_amplitudes_and_keeps_phases_and_the_rest():
    found = fourier_adaptation(GREY + np.uint8(40), OTHER_GREY[:1] // 2 + np.uint8(50), beta=0.1, seed=0)
    shown, given, reference = (
        np.fft.fftshift(np.fft.fft2(image.astype(float)))
        for image in (found[0], GREY[0] + np.uint8(40), OTHER_GREY[0] // 2 + np.uint8(50))
    )
    low = np.zeros((24, 24), bool)
    low[12 - 2 : 12 + 3, 12 - 2 : 12 + 3] = True
    rounding = 24 * 24 / 2
    assert np.abs(np.abs(shown) - np.abs(reference))[low].max() < rounding
    assert np.abs(shown - given)[~low].max() < rounding
    phases = np.angle(shown / given)[low & (np.abs(reference) > 10 * rounding)]
    assert np.abs(phases).max() < 0.1


def test_fourier_with_beta_0_is_the_identity_and_a_tiny_beta_moves_the_mean_only():
    assert np.array_equal(fourier_adaptation(COLOUR, OTHER_COLOUR, beta=0, seed=0), COLOUR)
    moved = fourier_adaptation(COLOUR, OTHER_COLOUR[:1], beta=0.01, seed=0)
    difference = OTHER_COLOUR[0].mean(axis=(0, 1)) - COLOUR[0].mean(axis=(0, 1))
    assert np.abs(moved[0] - (COLOUR[0] + difference)).max() <= 0.51
    assert np.array_equal(fourier_adaptation(COLOUR, COLOUR[:1], beta=0.2, seed=0)[0], COLOUR[0])


def test_fourier_draws_its_references_by_the_seed():
    many = RNG.integers(0, 256, (40, 24, 24), dtype=np.uint8)
    first = fourier_adaptation(GREY, many, beta=0.1, seed=3)
    assert np.array_equal(first, fourier_adaptation(GREY, many, beta=0.1, seed=3))
    assert not np.array_equal(first, fourier_adaptation(GREY, many, beta=0.1, seed=4))


METHODS = {
    "match_histograms": match_histograms,
    "reinhard_normalisation": reinhard_normalisation,
    "macenko_normalisation": macenko_normalisation,
    "fourier_adaptation": lambda x, y: fourier_adaptation(x, y, seed=0),
}


@pytest.mark.parametrize("method", METHODS)
def test_images_keep_their_order_and_inputs_stay(method):
    images = stained((HAEMATOXYLIN, EOSIN), [1.5, 1.2], count=3)[0]
    references = stained((HAEMATOXYLIN, EOSIN), [2.0, 1.7], seed=2)[0]
    kept = images.copy(), references.copy()
    found = METHODS[method](images, references)
    assert found.shape == images.shape
    assert found.dtype == np.uint8
    assert np.array_equal(METHODS[method](images[::-1], references), found[::-1])
    assert np.array_equal(images, kept[0])
    assert np.array_equal(references, kept[1])


@pytest.mark.parametrize("method", METHODS)
def test_what_is_no_pair_of_images_is_refused(method):
    with pytest.raises(MedtlError, match=f"{method}: images float64"):
        METHODS[method](COLOUR / 255, COLOUR)
    with pytest.raises(MedtlError, match=f"{method}: references uint8 \\(0,"):
        METHODS[method](COLOUR, COLOUR[:0])
    with pytest.raises(MedtlError, match=f"{method}: .*grey"):
        METHODS[method](COLOUR, GREY)


def test_sizes_betas_and_missing_tissue_are_refused():
    with pytest.raises(
        MedtlError, match="images of 24 x 24 px, references of 12 x 24; bring both to one size"
    ):
        fourier_adaptation(GREY, OTHER_GREY[:, :12], seed=0)
    with pytest.raises(MedtlError, match=r"beta 0.5, expected 0 to below 0.5"):
        fourier_adaptation(GREY, OTHER_GREY, beta=0.5, seed=0)
    white = np.full((1, 32, 32, 3), 250, np.uint8)
    with pytest.raises(MedtlError, match="0 stained pixels"):
        Stain.of(white)
    with pytest.raises(MedtlError, match="image 0: macenko: 0 stained pixels"):
        macenko_normalisation(white, COLOUR)
    with pytest.raises(MedtlError, match="one line of colour"):
        Stain.of(np.full((1, 32, 32, 3), 90, np.uint8))
