"""DICOM: pixels against the formulas of the standard, broken files in one line, nobody's name."""

import numpy as np
import pytest
from made_up_dicom import save_dicom
from made_up_images import case, refused
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import JPEGLosslessSV1, JPEGLSLossless, RLELossless

from medtl_core.data.archives.archive import read_archive
from medtl_core.data.importers.cases import Problems
from medtl_core.data.importers.dicom import PATIENTS, is_dicom, read_dicom
from medtl_core.data.importers.folders import list_folders
from medtl_core.data.importers.frame import Frame
from medtl_core.data.importers.importing import import_archive
from medtl_core.data.importers.window import Window

GREY = Frame(12, colours="grey")
RAMP = np.arange(144, dtype=np.int16).reshape(12, 12) * 20 - 1000
HOUNSFIELD = {"RescaleSlope": 2, "RescaleIntercept": -100}


def pictures(path, frame=GREY):
    return read_dicom(case(path), frame)


def linear(x, centre, width):
    """PS3.3 C.11.2.1.2.1, equation by equation, for an output from 0 to 255."""
    y = ((x - (centre - 0.5)) / (width - 1) + 0.5) * 255
    y = np.where(x <= centre - 0.5 - (width - 1) / 2, 0, y)
    return np.where(x > centre - 0.5 + (width - 1) / 2, 255, y)


def test_rescale_comes_before_the_window_of_the_file(tmp_path):
    path = save_dicom(tmp_path / "a", RAMP, WindowCenter=[40, 300], WindowWidth=[400, 2000], **HOUNSFIELD)
    picture = pictures(path)[0]
    np.testing.assert_allclose(picture.pixels, linear(RAMP * 2.0 - 100, 40, 400), atol=0.51)
    assert picture.remarks == ("window as the file says",)


def test_linear_exact_has_the_whole_width(tmp_path):
    tags = {"WindowCenter": 40, "WindowWidth": 400, "VOILUTFunction": "LINEAR_EXACT"}
    path = save_dicom(tmp_path / "a", RAMP, **tags)
    expected = np.clip((RAMP - 40.0) / 400 + 0.5, 0, 1) * 255
    np.testing.assert_allclose(pictures(path)[0].pixels, expected, atol=0.51)


def test_the_window_that_is_asked_for_goes_before_that_of_the_file(tmp_path):
    path = save_dicom(tmp_path / "a", RAMP, WindowCenter=40, WindowWidth=400, **HOUNSFIELD)
    picture = pictures(path, Frame(12, colours="grey", window=Window(-1000, 400)))[0]
    expected = np.clip((RAMP * 2.0 - 100 + 1000) / 1400, 0, 1) * 255
    np.testing.assert_allclose(picture.pixels, expected, atol=0.51)
    assert picture.remarks == ("window -1000:400",)


def test_monochrome1_is_inverted(tmp_path):
    tags = {"WindowCenter": 40, "WindowWidth": 400}
    plain = pictures(save_dicom(tmp_path / "a", RAMP, **tags))[0].pixels
    path = save_dicom(tmp_path / "b", RAMP, PhotometricInterpretation="MONOCHROME1", **tags)
    np.testing.assert_allclose(pictures(path)[0].pixels, 255.0 - plain, atol=1)
    assert "MONOCHROME1 inverted" in pictures(path)[0].remarks


def test_8_bits_stay_as_they_are(tmp_path):
    values = np.arange(144, dtype=np.uint8).reshape(12, 12)
    path = save_dicom(tmp_path / "a", values, bits=8)
    np.testing.assert_array_equal(pictures(path)[0].pixels, values)
    assert pictures(path, Frame(12))[0].pixels.ndim == 2


def test_12_bits_without_a_window_are_refused(tmp_path):
    path = save_dicom(tmp_path / "a")
    line = refused(pictures, path)
    assert "found values from 0 to 143 and no window" in line
    assert "--window" in line


def test_frames_become_images_in_order(tmp_path):
    frames = np.stack([RAMP + 10 * i for i in range(3)])
    path = save_dicom(tmp_path / "a", frames, NumberOfFrames=3, WindowCenter=40, WindowWidth=400)
    found = pictures(path)
    assert [picture.position for picture in found] == [0, 1, 2]
    for picture, values in zip(found, frames, strict=True):
        np.testing.assert_allclose(picture.pixels, linear(values, 40, 400), atol=0.51)


def test_functional_groups_of_each_frame_are_used(tmp_path):
    def group(**tags):
        item, macro = Dataset(), Dataset()
        for keyword, value in tags.items():
            setattr(macro, keyword, value)
        key = "FrameVOILUTSequence" if "WindowWidth" in tags else "PixelValueTransformationSequence"
        setattr(item, key, [macro])
        return item

    frames = np.stack([RAMP, RAMP])
    windows = [group(WindowCenter=centre, WindowWidth=400) for centre in (0, 500)]
    shared = [group(RescaleSlope=2, RescaleIntercept=-100, RescaleType="HU")]
    path = save_dicom(
        tmp_path / "a",
        frames,
        NumberOfFrames=2,
        PerFrameFunctionalGroupsSequence=windows,
        SharedFunctionalGroupsSequence=shared,
    )
    for picture, centre in zip(pictures(path), (0, 500), strict=True):
        np.testing.assert_allclose(picture.pixels, linear(RAMP * 2.0 - 100, centre, 400), atol=0.51)


def test_colour_and_palettes(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (12, 12, 3), np.uint8)
    path = save_dicom(tmp_path / "a", values, bits=8)
    np.testing.assert_array_equal(pictures(path, Frame(12, colours="rgb"))[0].pixels, values)
    assert pictures(path, Frame(12))[0].pixels.ndim == 3
    tables = np.random.default_rng(1).integers(0, 256, (3, 256)).astype(np.uint16)
    tags = {"PhotometricInterpretation": "PALETTE COLOR"}
    for name, table in zip(("Red", "Green", "Blue"), tables, strict=True):
        tags[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        tags[f"{name}PaletteColorLookupTableData"] = (table << 8).astype("<u2").tobytes()
    path = save_dicom(tmp_path / "b", values[..., 0], bits=8, **tags)
    found = pictures(path, Frame(12, colours="rgb"))[0].pixels
    np.testing.assert_array_equal(found, tables.T[values[..., 0]])
    assert pictures(path, Frame(12))[0].pixels.ndim == 3


def test_compressed_pixels_are_the_same(tmp_path):
    path = save_dicom(tmp_path / "a", RAMP, WindowCenter=40, WindowWidth=400)
    expected = pictures(path)[0].pixels
    header = dcmread(path)
    header.compress(RLELossless)
    header.save_as(path)
    np.testing.assert_array_equal(pictures(path)[0].pixels, expected)


@pytest.mark.parametrize(
    ("syntax", "package"), [(JPEGLSLossless, "pyjpegls"), (JPEGLosslessSV1, "python-gdcm")]
)
def test_a_decoder_that_is_missing_is_named(tmp_path, monkeypatch, syntax, package):
    from pydicom.pixels.decoders.base import Decoder

    path = save_dicom(tmp_path / "a", WindowCenter=40, WindowWidth=400)
    header = dcmread(path)
    header.compress(RLELossless)
    header.file_meta.TransferSyntaxUID = syntax
    header.save_as(path)
    monkeypatch.setattr(Decoder, "is_available", property(lambda _: False))
    assert refused(pictures, path).endswith(f"expected a decoder that is installed; pip install {package}")


def test_pixels_that_are_not_square_are_made_so(tmp_path):
    values = np.full((12, 6), 200, np.uint8)
    path = save_dicom(tmp_path / "a", values, bits=8, PixelSpacing=[0.5, 1.0])
    assert (pictures(path)[0].pixels == 200).all()


def test_what_is_no_image_is_refused(tmp_path):
    (tmp_path / "a").write_text("no DICOM")
    assert "cannot read" in refused(pictures, tmp_path / "a")
    path = save_dicom(tmp_path / "b")
    header = dcmread(path)
    del header.PixelData
    header.save_as(path)
    assert "found a DICOM file without pixels" in refused(pictures, path)
    path = save_dicom(tmp_path / "c", WindowCenter=40, WindowWidth=400)
    path.write_bytes(path.read_bytes()[:-100])
    assert "cannot read" in refused(pictures, path)
    path = save_dicom(tmp_path / "d", WindowCenter=40, WindowWidth=400, VOILUTFunction="SIGMOID")
    assert "kind SIGMOID" in refused(pictures, path)
    path = save_dicom(tmp_path / "e", WindowCenter=40, WindowWidth=1)
    assert "width 1" in refused(pictures, path)


def test_nothing_of_a_person_enters_the_archive(tmp_path):
    for i in range(6):
        name = f"Doe-{i}.dcm"
        tags = {"WindowCenter": 70, "WindowWidth": 100, "BurnedInAnnotation": "YES"}
        save_dicom(tmp_path / "ct" / "ab"[i % 2] / name, patient=f"MRN-77{i // 4}", **tags)
    problems = Problems()
    listing = list_folders(tmp_path / "ct", problems, mask_suffix="", meant=is_dicom, otherwise=PATIENTS)
    done = import_archive(listing, Frame(12), tmp_path / "out.npz", problems, workers=1)
    archive = read_archive(done.path)
    assert archive.groups.tolist() == ["patient_1"] * 2 + ["patient_2"] + ["patient_1"] * 2 + ["patient_2"]
    assert archive.metadata == {}
    assert PATIENTS in archive.provenance
    assert "6 of 6 images: the header says that text is burnt in" in archive.provenance
    words = " ".join([*archive.groups, *archive.provenance])
    assert "Doe" not in words
    assert "MRN" not in words


def test_without_pydicom_one_line_names_the_extra(tmp_path, monkeypatch):
    path = save_dicom(tmp_path / "a")
    monkeypatch.setattr("medtl_core.data.importers.dicom.find_spec", lambda name: None)
    assert "pip install 'medtl[importers]'" in refused(pictures, path)
