"""A committed picture is smaller and looks the same."""

import base64
import io

import numpy as np
from PIL import Image

from medtl_core.runner.pictures import compact_png


def encoded(pixels: np.ndarray, **options) -> str:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", **options)
    return base64.b64encode(out.getvalue()).decode("ascii")


def decoded(picture: str) -> np.ndarray:
    with Image.open(io.BytesIO(base64.b64decode(picture))) as opened:
        return np.asarray(opened.convert("RGB"))


def test_grey_noise_keeps_its_levels_and_shrinks():
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (60, 80), dtype=np.uint8)
    pixels = np.dstack([grey, grey, grey, np.full_like(grey, 255)])
    picture = compact_png(encoded(pixels))
    assert len(picture) < 0.6 * len(encoded(pixels))
    assert np.abs(decoded(picture).astype(int) - pixels[..., :3]).max() <= 3


def test_transparent_ground_becomes_white():
    pixels = np.zeros((100, 100, 4), np.uint8)
    pixels[30:70, 30:70] = (200, 0, 0, 255)
    pixels[40:60, 40:60, :3] = np.random.default_rng(0).integers(0, 256, (20, 20, 1))
    picture = decoded(compact_png(encoded(pixels)))
    assert picture[0, 0].tolist() == [255, 255, 255]
    assert picture[32, 32].tolist() == [200, 0, 0]


def test_a_picture_that_would_not_shrink_stays_as_it_is():
    small = encoded(np.zeros((1, 1), np.uint8), optimize=True)
    assert compact_png(small) == small


def test_a_plot_keeps_its_look():
    fade = np.full((200, 256, 3), 255, np.uint8)
    shades = np.random.default_rng(0).integers(
        0, 256, (20, 256, 1)
    )  # a tenth of the picture, every shade of red
    fade[:20, :, 1:] = shades
    picture = decoded(compact_png(encoded(fade)))
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) <= 128
    assert (picture[30:] == 255).all()
    assert np.abs(picture.astype(int) - fade).max() <= 8


def test_small_dots_of_a_plot_keep_their_colours():
    plot = np.full((300, 300, 3), 255, np.uint8)
    plot[:60, :256] = np.arange(256)[None, :, None]  # labels with their grey edges, most of what is not white
    dots = {(200 + 4 * k, 20 * k): (20 + 30 * k, 180 - 20 * k, 90 + 15 * k) for k in range(8)}
    for (down, across), colour in dots.items():
        plot[down : down + 3, across : across + 3] = colour
    picture = decoded(compact_png(encoded(plot))).astype(int)
    for place, colour in dots.items():
        assert np.abs(picture[place] - colour).max() <= 8
