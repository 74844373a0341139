"""What is hidden is hidden in every image alike, and what is shown is untouched."""

import math
from dataclasses import replace

import numpy as np
import pytest
from skimage.draw import ellipse

from medtl_core.data.masking import background_only, centre_only, inscribed_ellipse, mask_out
from medtl_core.data.phantoms.phantoms import SPECS, draw


@pytest.fixture(scope="module")
def drawn():
    return draw(replace(SPECS["phantoms_sources"], n=200), 0)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (60, 96), (33, 41)])
def test_the_ellipse_is_that_of_scikit_image(height, width):
    rows, columns = ellipse((height - 1) / 2, (width - 1) / 2, height / 2, width / 2, (height, width))
    expected = np.zeros((height, width), bool)
    expected[rows, columns] = True
    found = inscribed_ellipse(height, width)
    assert (found != expected).mean() < 0.002  # points on the curve itself
    assert found.mean() == pytest.approx(math.pi / 4, abs=0.02)


def test_background_and_centre_share_no_pixel_and_make_the_image(drawn):
    background, centre = background_only(drawn), centre_only(drawn)
    np.testing.assert_array_equal(np.maximum(background.images, centre.images), drawn.images)
    assert not np.minimum(background.images, centre.images).any()
    for hidden in (background, centre):
        np.testing.assert_array_equal(hidden.labels, drawn.labels)
        assert hidden.checksum != drawn.checksum


def test_marks_of_phantoms_are_background_and_lesions_are_not(drawn):
    outside = ~inscribed_ellipse(drawn.height, drawn.width)
    unmarked = tuple(replace(domain, shortcut=None) for domain in SPECS["phantoms_sources"].domains)
    plain = draw(replace(SPECS["phantoms_sources"], n=200, domains=unmarked), 0)
    changed = plain.images != drawn.images
    marked = drawn.metadata["mark"] == 1
    assert changed[marked].any(axis=(1, 2)).all()
    assert (changed & outside).sum() > 0.9 * changed.sum()
    assert (drawn.masks.astype(bool) & outside).sum() == 0


def test_colour_images_lose_all_channels():
    colour = draw(replace(SPECS["phantoms_colour"], n=20, size=32), 0)
    hidden = background_only(colour).images
    assert not hidden[:, 16, 16].any()
    np.testing.assert_array_equal(hidden[:, 0, 0], colour.images[:, 0, 0])


def test_a_mask_may_differ_from_image_to_image(drawn):
    mask = drawn.masks == 1
    hidden = mask_out(drawn, mask)
    assert not hidden.images[mask].any()
    np.testing.assert_array_equal(hidden.images[~mask], drawn.images[~mask])
