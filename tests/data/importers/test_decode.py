"""Decoding: image files against what their pixels are known to be, damaged ones in one line."""

import io
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
from made_up_images import case, noise, refused, save
from PIL import Image, ImageCms

from medtl_core.data.importers.decode import decode
from medtl_core.data.importers.frame import Frame
from medtl_core.data.importers.window import Window

GREY = Frame(12, colours="grey")
RGB = Frame(12, colours="rgb")
AS_IT_IS = Frame(12)


def pixels(path, frame=GREY):
    return decode(case(path), frame)[0].pixels


def remarks(path, frame=GREY):
    return decode(case(path), frame)[0].remarks


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".pgm"])
def test_a_grey_image_of_the_right_size_is_not_changed(tmp_path, suffix):
    path = save(tmp_path / f"a{suffix}", noise())
    np.testing.assert_array_equal(pixels(path), noise())
    np.testing.assert_array_equal(pixels(path, RGB), np.repeat(noise()[..., None], 3, -1))
    assert pixels(path, AS_IT_IS).shape == (12, 12)


def test_a_colour_image_is_not_changed_and_grey_is_its_luma(tmp_path):
    path = save(tmp_path / "a.png", noise(channels=3))
    np.testing.assert_array_equal(pixels(path, RGB), noise(channels=3))
    luma = noise(channels=3) @ np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
    np.testing.assert_allclose(pixels(path), luma, atol=1)
    assert remarks(path) == ("colour made grey",)
    assert pixels(path, AS_IT_IS).shape == (12, 12, 3)


@pytest.mark.parametrize("colours", ["grey", "rgb"])
def test_a_palette_is_resolved(tmp_path, colours):
    indexed = Image.fromarray(noise() % 4, mode=None).convert("P")
    entries = [(0, 0, 0), (10, 10, 10), (200, 200, 200), (255, 255, 255)]
    if colours == "rgb":
        entries[2] = (200, 30, 20)
    indexed.putpalette([value for entry in entries for value in entry])
    indexed.putdata((noise() % 4).ravel().tolist())
    path = save(tmp_path / "a.png", indexed)
    expected = np.array(entries, np.uint8)[noise() % 4]
    frame = Frame(12, colours=colours)
    np.testing.assert_array_equal(pixels(path, frame), expected[..., 0] if colours == "grey" else expected)
    assert pixels(path, AS_IT_IS).ndim == (3 if colours == "rgb" else 2)


@pytest.mark.parametrize("grey", [True, False])
def test_transparent_pixels_become_black_whatever_they_hide(tmp_path, grey):
    content = noise(channels=2 if grey else 4)
    content[..., -1] = 255
    content[:6, :, -1] = 0
    path = save(tmp_path / "a.png", content)
    found = pixels(path, GREY if grey else RGB)
    assert not found[:6].any()
    np.testing.assert_array_equal(found[6:], content[6:, :, 0] if grey else content[6:, :, :3])
    assert remarks(path, GREY if grey else RGB) == ("transparent pixels made black",)


def test_an_opaque_alpha_channel_is_dropped_without_a_remark(tmp_path):
    content = noise(channels=4)
    content[..., 3] = 255
    path = save(tmp_path / "a.png", content)
    np.testing.assert_array_equal(pixels(path, RGB), content[..., :3])
    assert remarks(path, RGB) == ()


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [(3, lambda a: np.rot90(a, 2)), (6, lambda a: np.rot90(a, -1)), (8, lambda a: np.rot90(a, 1))],
)
def test_exif_orientation_is_applied(tmp_path, orientation, upright):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / "a.png", noise(), exif=exif)
    np.testing.assert_array_equal(pixels(path), upright(noise()))
    assert remarks(path) == ("turned upright by EXIF",)


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
def test_deep_images_go_through_the_window(tmp_path, kind):
    values = np.linspace(0, 4000, 144).reshape(12, 12).astype(kind)
    path = save(tmp_path / ("a.png" if kind == np.uint16 else "a.tif"), values)
    found = pixels(path, Frame(12, colours="grey", window=Window(1000, 3000)))
    expected = np.rint(np.clip((values.astype(float) - 1000) / 2000, 0, 1) * 255)
    np.testing.assert_allclose(found, expected, atol=1)  # float32 before rounding
    line = refused(decode, case(path), GREY)
    assert "values from 0 to 4000" in line
    assert "--window" in line
    assert line.startswith(path.name)


def test_percentiles_are_those_of_the_image(tmp_path):
    values = np.arange(144, dtype=np.uint16).reshape(12, 12) * 7
    path = save(tmp_path / "a.png", values)
    found = pixels(path, Frame(12, colours="grey", window=Window(25, 75, percent=True)))
    low, high = np.percentile(values, [25, 75])
    np.testing.assert_allclose(found, np.clip((values - low) / (high - low), 0, 1) * 255, atol=1)


@pytest.mark.parametrize("tall", [True, False])
def test_pad_keeps_the_whole_image_centred_on_black(tmp_path, tall):
    content = np.full((12, 6) if tall else (6, 12), 200, np.uint8)
    path = save(tmp_path / "a.png", content)
    expected = np.zeros((12, 12), np.uint8)
    expected[(slice(None), slice(3, 9)) if tall else (slice(3, 9), slice(None))] = 200
    np.testing.assert_array_equal(pixels(path), expected)
    assert remarks(path) == ("padded to a square",)


def test_crop_keeps_the_central_square(tmp_path):
    content = noise(12, 20)
    path = save(tmp_path / "a.png", content)
    frame = Frame(12, fit="crop", colours="grey")
    np.testing.assert_array_equal(pixels(path, frame), content[:, 4:16])
    assert remarks(path, frame) == ("cropped to a square",)


def test_reduction_averages_and_does_not_skip_pixels(tmp_path):
    path = save(tmp_path / "a.png", noise(96, 96))
    assert pixels(path).std() < noise(96, 96).std() / 4
    assert abs(pixels(path).mean() - noise(96, 96).mean()) < 2


def test_masks_are_joined_and_framed_as_their_image(tmp_path):
    path = save(tmp_path / "a.png", noise(6, 12))
    first, second = np.zeros((2, 6, 12), np.uint8)
    first[:2], second[4:, :3] = 255, 1
    masks = [save(tmp_path / "m1.png", first), save(tmp_path / "m2.png", second)]
    found = decode(case(path, masks), GREY)[0].mask
    expected = np.zeros((12, 12), np.uint8)
    expected[3:9] = (first > 0) | (second > 0)
    np.testing.assert_array_equal(found, expected)


def test_a_mask_of_another_size_or_of_many_values_is_refused(tmp_path):
    path = save(tmp_path / "a.png", noise())
    other = save(tmp_path / "m.png", np.zeros((12, 13), np.uint8))
    assert "found 13 x 12 px (width x height), expected 12 x 12" in refused(decode, case(path, [other]), GREY)
    grey = save(tmp_path / "m.png", noise())
    assert "grey values, expected two" in refused(decode, case(path, [grey]), GREY)


def png_of_16_bit_colour(path):
    """Pillow cannot write one; by the PNG specification, section 5."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = b"".join(b"\0" + bytes(12 * 6) for _ in range(12))
    header = struct.pack(">IIBBBBB", 12, 12, 16, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)
    return path


def test_16_bit_colour_is_refused_and_not_cut_to_8_bits(tmp_path):
    assert "16-bit RGB" in refused(decode, case(png_of_16_bit_colour(tmp_path / "a.png")), RGB)


def test_cmyk_needs_a_profile(tmp_path):
    inks = Image.new("CMYK", (12, 12), (0, 255, 255, 0))
    assert "CMYK without a colour profile" in refused(decode, case(save(tmp_path / "a.jpg", inks)), RGB)
    profile = io.BytesIO(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()).getvalue()
    wrong = save(tmp_path / "b.jpg", inks, icc_profile=profile)  # a profile of RGB is none of inks
    assert "CMYK profile that cannot be used" in refused(decode, case(wrong), RGB)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".gif", ".bmp"])
@pytest.mark.parametrize("kept", [0.0, 0.1, 0.6])
def test_a_file_cut_short_is_refused(tmp_path, suffix, kept):
    path = save(tmp_path / f"a{suffix}", noise(64, 64))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    assert refused(decode, case(path), GREY).startswith(f"a{suffix}: found a file that Pillow cannot read")


def test_text_and_a_missing_file_are_refused(tmp_path):
    (tmp_path / "a.png").write_text("no image")
    assert "cannot read" in refused(decode, case(tmp_path / "a.png"), GREY)
    assert "No such file" in refused(decode, case(tmp_path / "b.png"), GREY)


def test_several_images_in_one_file_are_refused(tmp_path):
    frames = [Image.fromarray(noise(seed=seed)) for seed in range(3)]
    path = save(tmp_path / "a.tif", frames[0], save_all=True, append_images=frames[1:])
    assert "found 3 images in one file" in refused(decode, case(path), GREY)


def test_an_image_of_too_many_pixels_is_refused(tmp_path, monkeypatch):
    path = save(tmp_path / "a.png", noise(40, 40))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert "exceeds limit" in refused(decode, case(path), GREY)


def test_values_that_are_no_numbers_are_refused(tmp_path):
    values = np.zeros((12, 12), np.float32)
    values[3, 4] = np.nan
    path = save(tmp_path / "a.tif", values)
    assert "1 values that are NaN" in refused(
        decode, case(path), Frame(12, colours="grey", window=Window(0, 1))
    )


@pytest.mark.parametrize(
    "text", ["", "5", "5:", "1:2:3", "9:1", "3:3", "1%:99", "-1%:50%", "0%:101%", "nan:1"]
)
def test_a_window_that_is_none_is_refused(text):
    assert "expected LOW:HIGH" in refused(Window.parse, text)


@pytest.mark.parametrize(
    ("text", "window"), [("-1000:400", Window(-1000, 400)), ("1%:99.5%", Window(1, 99.5, True))]
)
def test_a_window_reads_as_it_is_written(text, window):
    assert Window.parse(text) == window
    assert str(window) == text


def test_a_constant_image_is_black_under_percentiles(tmp_path):
    path = save(tmp_path / "a.png", np.full((12, 12), 700, np.uint16))
    assert not pixels(path, Frame(12, colours="grey", window=Window(1, 99, True))).any()


@pytest.mark.parametrize("wrong", [{"size": 0}, {"size": 5000}, {"fit": "stretch"}, {"colours": "blue"}])
def test_a_frame_that_is_none_is_refused(wrong):
    assert "expected" in refused(Frame, **({"size": 12} | wrong))


def test_pixels_that_are_not_square_are_made_so():
    image = Image.fromarray(np.full((12, 6), 200, np.uint8))
    np.testing.assert_array_equal(Frame(12).square(image, (1.0, 2.0)), np.full((12, 12), 200))


def test_a_box_cuts_the_image_and_its_mask(tmp_path):
    pixels, mask = noise(20, 30), np.zeros((20, 30), np.uint8)
    mask[4:9, 6:10] = 255
    path, mask_path = save(tmp_path / "a.png", pixels), save(tmp_path / "m.png", mask)
    boxed = replace(case(path, [mask_path]), box=(5, 3, 17, 15))
    (picture,) = decode(boxed, Frame(12, colours="grey"))
    np.testing.assert_array_equal(picture.pixels, pixels[3:15, 5:17])
    np.testing.assert_array_equal(picture.mask, mask[3:15, 5:17] > 0)
    # What lies outside is left out, and not made up of black.
    (picture,) = decode(replace(case(path), box=(24, 14, 99, 99)), Frame(6, colours="grey"))
    np.testing.assert_array_equal(picture.pixels, pixels[14:, 24:])
    assert "expected an area" in refused(decode, replace(case(path), box=(30, 0, 40, 9)), Frame(6))


def test_masks_of_several_classes_keep_their_order(tmp_path):
    mask = np.random.default_rng(0).choice(np.array([0, 128, 255], np.uint8), (12, 12))
    path, mask_path = save(tmp_path / "a.png", noise()), save(tmp_path / "m.png", mask)
    classes = replace(case(path, [mask_path]), mask_values=(0, 128, 255))
    (picture,) = decode(classes, Frame(12, colours="grey"))
    np.testing.assert_array_equal(picture.mask, np.array([0, 1, 2])[mask // 127])
    strange = replace(classes, mask_values=(0, 255))
    assert "m.png: found the value 128, expected 0, 255 alone" in refused(decode, strange, Frame(12))
