"""Film strips and walks: what is drawn is what was given, and the ends of a walk are its two vectors."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from medtl_core.errors import MedtlError
from medtl_core.gans import film, latent_walk
from medtl_core.gans.networks import ConvolutionalGenerator


def test_a_row_shows_its_images_side_by_side_with_a_white_gap():
    images = torch.stack([torch.full((1, 4, 4), value) for value in (0.0, 0.25, 0.5)])
    figure = film({"a": images, "b": (images * 255).to(torch.uint8).numpy()}, columns=2)
    assert [ax.get_ylabel() for ax in figure.axes] == ["a", "b"]
    first, second = (np.asarray(ax.images[0].get_array()) for ax in figure.axes)
    assert first.shape == (4, 9)  # two images of 4 and a gap of 1
    assert (first[:, :4] == 0).all()
    assert (first[:, 4] == 1).all()
    assert (first[:, 5:] == 0.25).all()
    assert second == pytest.approx(first, abs=1 / 255)


def test_colour_keeps_its_channels():
    figure = film({"red": torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1).expand(1, 3, 2, 2)})
    assert figure.axes[0].images[0].get_array()[0, 0].tolist() == [1, 0, 0]


def test_headings_stand_over_equal_groups_of_columns():
    rows = {"a": torch.rand(6, 1, 4, 4), "b": torch.rand(6, 1, 4, 4)}
    figure = film(rows, headings=["left", "middle", "right"])
    assert [(text.get_text(), text.xy[0]) for text in figure.axes[0].texts] == [
        ("left", pytest.approx(1 / 6)), ("middle", pytest.approx(1 / 2)), ("right", pytest.approx(5 / 6))
    ]  # fmt: skip
    assert not figure.axes[1].texts
    with pytest.raises(MedtlError, match="4 headings over 6 columns, expected equal groups"):
        film(rows, headings=list("abcd"))


@pytest.mark.parametrize(
    "rows", [{}, {"flat": np.zeros((2, 4, 4), np.uint8)}, {"none": torch.zeros(0, 1, 4, 4)}]
)
def test_no_rows_and_other_shapes_are_one_line(rows):
    with pytest.raises(MedtlError, match="film"):
        film(rows)


def test_a_walk_ends_at_its_vectors_and_moves_with_the_slider():
    generator = ConvolutionalGenerator(size=16, channels=1, seed=0, latent_dim=3, width=2).eval()
    walk = latent_walk(generator, seed=5, walks=2)
    draw = torch.Generator().manual_seed(5)
    ends = torch.rand(2, 2, 3, generator=draw) * 2 - 1
    with torch.no_grad():
        expected = (generator(ends[:, 0]) + 1) / 2
    shown = np.asarray(walk.still.axes[0].images[0].get_array())
    assert shown[:, :16] == pytest.approx(expected[0, 0].numpy(), abs=1e-6)
    assert shown[:, -16:] == pytest.approx(expected[1, 0].numpy(), abs=1e-6)
    slider, picture = walk.widget.children
    before = picture.value
    slider.value = 1.0
    assert picture.value != before
    assert Image.open(io.BytesIO(picture.value)).size == (33 * 8, 16 * 8)
    bundle = walk._repr_mimebundle_()
    assert bundle["image/png"][:4] == b"\x89PNG"
    assert "application/vnd.jupyter.widget-view+json" in bundle
