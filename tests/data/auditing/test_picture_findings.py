"""Pictures: planted borders, letters and pale images are found; textures have none."""

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

from medtl_core.data.archives.archive import Archive
from medtl_core.data.auditing.picture_findings import grey_widths, has_border, holds_text, picture_findings

N = 60


def textures(side=96):
    smooth = gaussian_filter(np.random.default_rng(0).normal(size=(N, side, side)), (0, 4, 4))
    return np.rint(np.clip(smooth / smooth.std() * 40 + 110, 0, 255)).astype(np.uint8)


def found(images):
    archive = Archive("made", images, np.arange(N) % 2, ("a", "b"))
    return {each.kind: each.count for each in picture_findings(archive) if each}


def labelled(image, text="R 12 CM", place=(4, 4)):
    canvas = Image.fromarray(image)
    ImageDraw.Draw(canvas).text(place, text, fill=255, font_size=14)
    return np.asarray(canvas)


def test_textures_noise_and_blank_images_have_no_finding():
    assert found(textures()) == {}
    noise = np.random.default_rng(0).integers(0, 256, (N, 48, 48), np.uint8)
    noise[:3] = 7
    assert found(noise) == {}


def test_pale_images_are_counted():
    images = textures()
    images[3:10] = 100 + images[3:10] // 16
    assert found(images) == {"narrow_grey_range": 7}
    np.testing.assert_allclose(
        grey_widths(images)[0], np.subtract(*np.percentile(images[0], [99, 1])), rtol=1e-12
    )


def test_borders_of_any_side_are_counted():
    images = textures()
    images[0, :5], images[1, -5:], images[2, :, :5], images[3, :, -5:] = 0, 0, 255, 30
    images[4, :4] = 0  # four rows of 96 are less than a twentieth
    assert np.flatnonzero(has_border(images)).tolist() == [0, 1, 2, 3]
    assert found(images) == {"uniform_borders": 4}
    colour = np.repeat(images[..., None], 3, -1)
    assert np.flatnonzero(has_border(colour)).tolist() == [0, 1, 2, 3]


def test_borders_that_tell_the_class():
    images = textures()
    images[1::2][:15, :8] = 0  # half of class b
    assert found(images) == {"uniform_borders": 15, "borders_tell_class": 15}
    images = textures()
    images[:15, :8] = 0  # of both classes alike
    assert found(images) == {"uniform_borders": 15}


def test_a_small_difference_of_borders_tells_no_class():
    images = np.random.default_rng(0).integers(0, 256, (800, 12, 12), np.uint8)
    labels = np.arange(800) % 2
    images[np.flatnonzero(labels == 0)[:40], :2] = 0  # a tenth
    images[np.flatnonzero(labels == 1)[:120], :2] = 0  # three tenths: beyond chance, under a quarter
    kinds = [each.kind for each in picture_findings(Archive("made", images, labels, ("a", "b"))) if each]
    assert kinds == ["uniform_borders"]


@pytest.mark.parametrize("text", ["LEFT", "LINEAR", "19780503"])
def test_letters_in_a_line_are_text(text):
    images = textures() // 2  # letters are white on darker ground
    images[7] = labelled(images[7], text)
    assert np.flatnonzero(holds_text(images)).tolist() == [7]


def test_spots_are_no_text():
    images = textures()
    images[0, 10:16, 10:16] = 255  # one spot
    for row, column in ((10, 10), (30, 40), (60, 20), (80, 80)):  # not in a line
        images[1, row : row + 6, column : column + 3] = 255
    for column in (5, 30, 55, 80):  # in a line, far apart
        images[2, 40:46, column : column + 3] = 255
    assert not holds_text(images).any()
