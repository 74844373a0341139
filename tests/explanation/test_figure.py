"""The gallery: what stands in it, and what it refuses."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from medtl_core.errors import MedtlError
from medtl_core.explanation import bench
from medtl_core.explanation.explaining import Explanation
from medtl_core.explanation.figure import maps_figure, overlaid
from medtl_core.explanation.map_viewer import overlay

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 16, 16), dtype=np.uint8)
MASKS = np.zeros((2, 16, 16), np.uint8)
MASKS[:, 4:9, 0:8] = 1


def given(method, scale=1.0):
    maps = scale * torch.linspace(-0.5, 1, 256).view(1, 16, 16).repeat(2, 1, 1)
    return Explanation(maps, True, method, "", (16, 16), 0.1)


def test_a_gallery_shows_every_map_on_one_scale_with_the_judges_numbers():
    drawing = maps_figure(
        IMAGES, [given("grad_cam"), given("lime", 100.0)], MASKS, {"lime": {"mass_in_mask": 0.254}}
    )
    assert "lime mass in mask 0.25" in drawing.text
    assert "outline: mask" in drawing.text
    panels = drawing.figure.axes[:6]
    assert [axes.get_title() for axes in panels[:3]] == ["image", "grad cam", "lime\nmass in mask 0.25"]
    for axes in (*panels[1:3], *panels[4:6]):
        shown = axes.images[0].get_array()
        assert (shown.min(), shown.max()) == pytest.approx((-0.5, 1))
        assert axes.images[0].get_clim() == (-1, 1)
    assert drawing.png().startswith(b"\x89PNG")


def test_a_map_of_zeros_is_shown_as_it_is():
    flat = Explanation(torch.zeros(2, 16, 16), False, "grad_cam", "", (8, 8), 0.1)
    assert not maps_figure(IMAGES, [flat]).figure.axes[1].images[0].get_array().any()


def test_the_overlay_has_four_controls_and_a_still_picture(monkeypatch):
    coarse, fine = (replace(given("grad_cam"), grid=(n, n)) for n in (8, 16))
    found = overlay(IMAGES, [coarse, fine, given("lime", -1.0)])
    case, method, layer, strength, picture = found.widget.children
    assert [c.description for c in (case, method, layer, strength)] == ["case", "method", "layer", "strength"]
    assert layer.options == ("8 x 8 cells", "16 x 16 cells")
    before = picture.value
    method.value = "lime"
    assert layer.options == ("16 x 16 cells",)
    assert picture.value != before
    strength.value = 0.0
    assert picture.value != before
    bundle = found._repr_mimebundle_()
    assert bundle["image/png"].startswith(b"\x89PNG")
    assert bundle["text/plain"].startswith("1 image: grad cam 8 x 8 cells; grad cam 16 x 16 cells; lime")
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with pytest.raises(MedtlError, match="ipywidgets is not installed"):
        overlay(IMAGES, [coarse])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: maps_figure(IMAGES, []), "2 images and 0 explanations"),
        (lambda: maps_figure(IMAGES[:1], [given("lime")]), r"lime is \(2, 16, 16\), expected \(1, 16, 16\)"),
        (lambda: maps_figure(IMAGES, [given("lime")], MASKS[:1]), r"masks is \(1, 16, 16\)"),
        (lambda: overlaid(IMAGES[0], torch.zeros(16, 16), 2.0), "strength is 2.0"),
    ],
)
def test_what_is_refused_in_one_line(call, message):
    with pytest.raises(MedtlError, match=message):
        call()


@pytest.mark.slow
def test_bench_measures_both_networks():
    rows = bench.run(rounds=1, images=4, singles=2)
    assert [row["name"] for row in rows] == [
        "grad_cam resnet18 64 px",
        "grad_cam tf_efficientnet_lite0 64 px",
    ]
    for row in rows:
        assert row["ratio"] == pytest.approx(row["images_per_second"] / row["one_by_one_images_per_second"])
        assert row["target"] == 10.0
