"""CLAHE against equalisation written in NumPy, against albumentations (OpenCV), and at its limits."""

import albumentations
import numpy as np
import pytest
from skimage.color import rgb2hsv

from medtl_core.data.clahe import apply_clahe
from medtl_core.data.phantoms.phantoms import SPECS, PhantomSpec, draw
from medtl_core.errors import MedtlError


@pytest.fixture(scope="module")
def images():
    return draw(PhantomSpec(n=12), 0).images


def equalised_by_cumulative_histogram(image):
    """One tile, nothing clipped: each grey level becomes its rank, stretched to 0..255."""
    low, high = int(image.min()), int(image.max())
    level = np.rint((image.astype(float) - low) / (high - low) * 16383).astype(int) // 65
    rank = np.cumsum(np.bincount(level.ravel()))[level]
    return 255 * (rank - rank.min()) / (rank.max() - rank.min())


def test_one_unclipped_tile_is_histogram_equalisation(images):
    found = apply_clahe(images, clip_limit=1.0, tiles=1)
    expected = np.stack([equalised_by_cumulative_histogram(image) for image in images])
    assert abs(found - expected).max() <= 1
    assert found.dtype == np.uint8


@pytest.mark.parametrize(("clip_limit", "tiles"), [(0.01, 2), (0.02, 4), (0.02, 8)])
def test_it_follows_another_clahe(images, clip_limit, tiles):
    found = apply_clahe(images, clip_limit, tiles)
    limit = clip_limit * 256  # OpenCV counts in multiples of a flat histogram
    reference = albumentations.CLAHE(clip_limit=(limit, limit), tile_grid_size=(tiles, tiles), p=1.0)
    for ours, image in zip(found, images, strict=True):
        low, high = int(image.min()), int(image.max())
        stretched = np.rint((image.astype(float) - low) / (high - low) * 255).astype(np.uint8)
        theirs = reference(image=stretched)["image"]
        assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.98
        unlike_the_input = abs(ours.astype(float) - stretched).mean()
        assert abs(ours.astype(float) - theirs).mean() < unlike_the_input


def test_a_linear_change_of_contrast_is_undone(images):
    darker = (images // 2 + 20).astype(np.uint8)
    apart = abs(images.astype(float) - darker).mean()
    left = abs(apply_clahe(images).astype(float) - apply_clahe(darker)).mean()
    assert left < 0.35 * apart  # halving the grey range loses every second level


def test_a_tight_clip_changes_the_ranks_less(images):
    stretched = apply_clahe(images, clip_limit=1e-4, tiles=1).astype(float)
    free = apply_clahe(images, clip_limit=1.0, tiles=1).astype(float)
    for image, tight, loose in zip(images, stretched, free, strict=True):
        linear = 255 * (image - image.min().astype(float)) / (int(image.max()) - int(image.min()))
        assert abs(tight - linear).mean() < abs(loose - linear).mean()


def test_colours_keep_their_hue():
    colour = draw(PhantomSpec(n=9, size=48, colour=True), 0).images
    found = apply_clahe(colour)
    assert found.shape == colour.shape
    before, after = rgb2hsv(colour), rgb2hsv(found)
    saturated = before[..., 1] > 0.2
    turned = abs(before[..., 0] - after[..., 0])[saturated]
    assert np.median(np.minimum(turned, 1 - turned)) < 0.02
    assert abs(before[..., 2] - after[..., 2]).mean() > 0.02


def test_a_flat_image_stays_as_it_is():
    flat = np.full((1, 30, 30), 77, np.uint8)
    np.testing.assert_array_equal(apply_clahe(flat), flat)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"clip_limit": 0.0}, "clip_limit 0.0"),
        ({"clip_limit": 1.5}, "clip_limit 1.5"),
        ({"tiles": 0}, "0 tiles"),
        ({"tiles": 33}, "1 to 32"),
    ],
)
def test_arguments_out_of_range_are_refused(images, changes, named):
    with pytest.raises(MedtlError, match=named):
        apply_clahe(images, **changes)


@pytest.mark.parametrize("wrong", [np.zeros((2, 30, 30)), np.zeros((30, 30), np.uint8)])
def test_what_is_no_image_set_is_refused(wrong):
    with pytest.raises(MedtlError, match="expected uint8"):
        apply_clahe(wrong)


@pytest.mark.slow
def test_grey_values_of_two_sites_come_closer():
    drawn = draw(SPECS["phantoms_sources"], 0).subset(np.arange(200))
    here = drawn.domains == "hospital_a"

    def distance(images):
        """Largest gap between the cumulative grey histograms of the two sites, 0..1."""
        counts = [np.cumsum(np.bincount(images[w].ravel(), minlength=256)) for w in (here, ~here)]
        return abs(counts[0] / counts[0][-1] - counts[1] / counts[1][-1]).max()

    assert distance(apply_clahe(drawn.images)) < distance(drawn.images)
