"""Strips of images: one scale for all, said below, and masks that are outlined."""

import numpy as np
import pytest

from medtl_core.errors import MedtlError
from medtl_core.reporting.images import strip

GREY = np.arange(3 * 8 * 8, dtype=np.uint8).reshape(3, 8, 8)


def caption(drawing):
    return drawing.figure._supxlabel.get_text().replace("\n", " ")


def test_bytes_are_shown_from_0_to_255():
    drawing = strip(GREY, ["a", "b", "c"])
    images = [axes.images[0] for axes in drawing.figure.axes]
    assert all(image.get_clim() == (0, 255) for image in images)
    assert all((image.get_array() == grey).all() for image, grey in zip(images, GREY, strict=True))
    assert caption(drawing) == "grey from 0 (black) to 255 (white)"
    assert [axes.get_title() for axes in drawing.figure.axes] == ["a", "b", "c"]


def test_numbers_share_the_widest_range_of_all():
    drawing = strip([np.full((4, 4), -0.5), np.full((6, 6), 0.25)])
    assert {axes.images[0].get_clim() for axes in drawing.figure.axes} == {(-0.5, 0.25)}
    assert caption(drawing) == "grey from −.50 (black) to .25 (white)"


def test_a_colour_map_has_its_bar_and_says_its_range():
    drawing = strip([np.zeros((4, 4))], colour_map="coolwarm", value_range=(-3, 3), caption="occlusion")
    assert caption(drawing) == "occlusion; colours from −3 to 3"
    assert len(drawing.figure.axes) == 2


def test_rgb_has_no_grey_scale():
    assert caption(strip(np.zeros((2, 4, 4, 3), np.uint8))) == "colours from 0 to 255 per channel"


def test_a_mask_is_outlined_on_the_edge_of_its_pixels():
    mask = np.zeros((8, 8), bool)
    mask[2:5, 0:3] = True
    drawing = strip(GREY[:1], masks=[mask])
    (outline,) = drawing.figure.axes[0].collections
    points = np.concatenate([path.vertices for path in outline.get_paths()])
    # Rows 2 to 4, columns 0 to 2: the outline runs half a pixel outside of their centres and is closed.
    assert points[:, 0].min() == pytest.approx(-0.5)
    assert points[:, 0].max() == pytest.approx(2.5)
    assert points[:, 1].min() == pytest.approx(1.5)
    assert points[:, 1].max() == pytest.approx(4.5)
    assert drawing.figure.axes[0].get_ylim() == (7.5, -0.5)
    assert caption(drawing).endswith("outline: mask")


def test_columns_and_spare_places():
    drawing = strip(np.zeros((7, 4, 4)), columns=4)
    assert len(drawing.figure.axes) == 8
    assert not drawing.figure.axes[7].axison


@pytest.mark.parametrize(
    ("images", "options", "said"),
    [
        ([], {}, "images: none found"),
        ([np.zeros(4)], {}, r"image 0: shape \(4,\), expected"),
        ([np.full((2, 2), np.nan)], {}, "image 0: holds values that are not finite"),
        ([np.array([["a"]])], {}, "image 0: values of type"),
        ([np.zeros((2, 2))], {"titles": ["a", "b"]}, "titles: 2 found for 1 images"),
        (
            [np.zeros((2, 2))],
            {"masks": [np.zeros((3, 3))]},
            r"mask 0: shape \(3, 3\), expected that of its image",
        ),
    ],
)
def test_what_cannot_be_shown(images, options, said):
    with pytest.raises(MedtlError, match=said):
        strip(images, **options)


def test_it_shows_itself_and_tells_what_it_is():
    drawing = strip(GREY[:2], ["benign", "malignant"])
    assert drawing._repr_png_()[:4] == b"\x89PNG"
    assert repr(drawing) == "figure: 2 images: benign, malignant; grey from 0 (black) to 255 (white)"
