"""The sheet shows what a policy makes, and the slider is still readable where no kernel is."""

import io
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from medtl_core.augmentation import (
    AugmentationPolicy,
    examples_sheet,
    strength_slider,
    transform,
    transform_names,
)
from medtl_core.errors import MedtlError

GREY = np.random.default_rng(0).integers(0, 256, (4, 24, 24), dtype=np.uint8)
COLOUR = np.random.default_rng(0).integers(0, 256, (4, 24, 24, 3), dtype=np.uint8)
NAMES = [name for name in transform_names() if name != "generated"]


@pytest.mark.parametrize("images", [GREY, COLOUR, torch.rand(4, 1, 24, 24)], ids=["grey", "colour", "float"])
def test_every_panel_is_the_transform_at_its_strength(images):
    figure = examples_sheet(images, NAMES, (0.3, 1.0), seed=5)
    panels = np.array(figure.axes, dtype=object).reshape(len(NAMES), 3)
    assert [ax.get_title() for ax in panels[0]] == ["original", "strength 0.3", "strength 1"]
    assert [row[0].get_ylabel() for row in panels] == [name.replace("_", " ") for name in NAMES]
    if isinstance(images, np.ndarray):
        batch = torch.from_numpy(images).float() / 255
        batch = batch[:, None] if batch.ndim == 3 else batch.permute(0, 3, 1, 2)
    else:
        batch = images
    for name, row in zip(NAMES, panels, strict=True):
        for ax, strength in zip(row, (0, 0.3, 1.0), strict=True):
            policy = AugmentationPolicy((transform(name, strength),))
            found = policy(batch, torch.eye(4), generator=torch.Generator().manual_seed(5)).images[0]
            shown = torch.from_numpy(ax.images[0].get_array().data)
            torch.testing.assert_close(shown.reshape(24, 24, -1).permute(2, 0, 1), found)


def test_labels_do_not_overlap_and_lie_inside():
    figure = examples_sheet(GREY, NAMES, (0.5, 1.0))
    figure.draw_without_rendering()
    labels = [ax.yaxis.label.get_window_extent() for ax in figure.axes if ax.get_ylabel()]
    assert min(box.x0 for box in labels) >= 0
    assert all(not a.overlaps(b) for i, a in enumerate(labels) for b in labels[:i])


def test_the_slider_moves_the_strength_and_nothing_else():
    shown = strength_slider(GREY[0], AugmentationPolicy((transform("rotation", 1.0),)), seed=3)
    slider, picture = shown.widget.children

    def pixels():
        return np.asarray(Image.open(io.BytesIO(picture.value)))

    half = pixels()
    slider.value = 0.0
    assert np.array_equal(pixels(), GREY[0].repeat(11, 0).repeat(11, 1))
    slider.value = 0.5
    assert np.array_equal(pixels(), half)


def test_the_slider_has_a_still_picture_beside_the_widget():
    bundle = strength_slider(COLOUR[0], "gamma")._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "image/png", "application/vnd.jupyter.widget-view+json"}
    assert Image.open(io.BytesIO(bundle["image/png"])).width > 500


@pytest.mark.parametrize(
    ("images", "names", "message"),
    [
        (GREY[0], ["flip"], r"images: uint8 \(24, 24\), expected uint8 \(N, H, W"),
        (GREY / 255, ["flip"], r"images: float64 \(4, 24, 24\)"),
        (torch.rand(2, 5, 8, 8), ["flip"], "expected uint8"),
        (GREY, ["shear"], "found 'shear', expected one of flip"),
        (GREY, [], "no transform or no strength"),
    ],
)
def test_what_cannot_be_shown_is_refused(images, names, message):
    with pytest.raises(MedtlError, match=message):
        examples_sheet(images, names)


def test_without_ipywidgets_the_error_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with pytest.raises(MedtlError, match="ipywidgets is not installed; pip install ipywidgets"):
        strength_slider(GREY[0], "flip")
