"""MATLAB 7.3 files: rows and columns as MATLAB shows them, windowed, and bad files in one line."""

import h5py
import numpy as np
import pytest
from made_up_images import noise, refused

from medtl_core.data.importers import matlab
from medtl_core.data.importers.cases import Case
from medtl_core.data.importers.frame import Frame
from medtl_core.data.importers.matlab import read_matlab, read_values
from medtl_core.data.importers.window import Window

FRAME = Frame(12, colours="grey")


def save(path, **variables):
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in variables.items():
            if isinstance(value, str):
                file[f"s/{name}"] = np.array([[ord(letter)] for letter in value], np.uint16)
                file[f"s/{name}"].attrs["MATLAB_class"] = np.bytes_("char")
            else:
                file[f"s/{name}"] = np.asarray(value).T  # as MATLAB writes a matrix
    return path


def case(path, mask=False):
    return Case(path, path.name, "a", masks=(path,) if mask else (), variables=("s/image", "s/mask"))


def test_8_bits_stay_as_they_are_with_rows_as_rows(tmp_path):
    pixels = noise()
    (picture,) = read_matlab(case(save(tmp_path / "a.mat", image=pixels)), FRAME)
    np.testing.assert_array_equal(picture.pixels, pixels)
    assert picture.mask is None


def test_other_numbers_go_through_the_window(tmp_path):
    values = np.arange(144, dtype=np.int16).reshape(12, 12) * 10
    path = save(tmp_path / "a.mat", image=values)
    (picture,) = read_matlab(case(path), Frame(12, colours="grey", window=Window(0, 1000)))
    expected = np.rint(np.clip(values, 0, 1000) * 0.255)
    assert np.abs(picture.pixels - expected).max() <= 1
    assert "from 0 to 1430, expected 8 bits or a window" in refused(read_matlab, case(path), FRAME)


def test_a_mask_comes_from_the_same_file(tmp_path):
    mask = np.zeros((12, 12), np.uint8)
    mask[2:4, 5:9] = 1
    path = save(tmp_path / "a.mat", image=noise(), mask=mask)
    (picture,) = read_matlab(case(path, mask=True), FRAME)
    np.testing.assert_array_equal(picture.mask, mask)
    path = save(tmp_path / "b.mat", image=noise(), mask=mask[:6])
    assert "found a mask of (6, 12)" in refused(read_matlab, case(path, mask=True), FRAME)


def test_values_are_text_and_keep_their_zeros(tmp_path):
    path = save(tmp_path / "a.mat", PID="007", label=[[2.0]], share=[[0.5]], image=noise())
    assert read_values(path, "a.mat", ("s/PID", "s/label", "s/share")) == ("007", "2", "0.5")
    assert "found 144 numbers in '/s/image'" in refused(read_values, path, "a.mat", ("s/image",))


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_a_file_cut_short_is_refused(tmp_path, kept):
    path = save(tmp_path / "a.mat", image=noise(200, 200))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    assert refused(read_matlab, case(path), FRAME).startswith("a.mat: found ")


def test_what_is_no_matlab_file_is_refused(tmp_path):
    (tmp_path / "a.mat").write_bytes(b"MATLAB 5.0 MAT-file")
    assert "save it again with -v7.3" in refused(read_matlab, case(tmp_path / "a.mat"), FRAME)
    path = save(tmp_path / "b.mat", other=noise())
    assert "found no variable 's/image'" in refused(read_matlab, case(path), FRAME)
    path = save(tmp_path / "c.mat", image=np.zeros((2, 3, 4)))
    assert "expected a matrix" in refused(read_matlab, case(path), FRAME)


def test_without_h5py_one_line_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setattr(matlab, "find_spec", lambda _: None)
    assert "medtl[importers]" in refused(read_matlab, case(tmp_path / "a.mat"), FRAME)
