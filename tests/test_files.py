"""Files appear whole or not at all, and any damage is one line."""

import json
import os
import stat
import zipfile
import zlib

import numpy as np
import pytest

from medtl_core.errors import MedtlError
from medtl_core.files import (
    one_line,
    read_arrays,
    read_json,
    read_shapes,
    replacing,
    sweep_parts,
    write_arrays,
    write_atomically,
    write_json,
    write_text,
)

JSON = {"expected": "a state", "remedy": "delete it and run again"}


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_has_the_permissions_of_the_umask(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        write_text(tmp_path / "a.txt", "text")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == mode


def test_a_file_is_replaced_at_once_and_read_back(tmp_path):
    path = tmp_path / "deep" / "a.json"
    write_json(path, {"b": 1, "ä": [1.5]})
    with path.open() as reader:  # somebody reads the old file while the new one comes
        write_json(path, {"b": 2})
        assert json.load(reader) == {"b": 1, "ä": [1.5]}
    assert read_json(path, lambda content: content["b"], **JSON) == 2
    assert names(path.parent) == ["a.json"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, MemoryError])
def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path, error):
    write_text(tmp_path / "a", "old")

    def fail(file):
        file.write(b"half")
        raise error

    with pytest.raises(error):
        write_atomically(tmp_path / "a", fail)
    assert (tmp_path / "a").read_text() == "old"
    assert names(tmp_path) == ["a"]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    write_text(tmp_path / "file", "")
    with pytest.raises(MedtlError, match=r"file/a: cannot be written \((File exists|Not a directory)\)"):
        write_text(tmp_path / "file" / "a", "")


def test_every_file_is_synced_before_it_gets_its_name(tmp_path, monkeypatch):
    events = []
    sync, rename = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (events.append("sync"), sync(handle)))
    monkeypatch.setattr(os, "replace", lambda a, b: (events.append("rename"), rename(a, b)))
    write_text(tmp_path / "a", "text")
    assert events == ["sync", "rename", "sync"]  # the file before its name, the folder after


def test_numbers_that_are_none_are_not_written(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a", {"x": float("nan")})
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "Expecting value"),
        (b"{", "Expecting property name"),
        (b'{"status": NaN}', "NaN is not a number"),
        (b"\xff\xfe", "can't decode"),
        (b"[" * 100_000, "recursion"),
        (b"{}", "no 'status'"),
        (b"[1]", "indices must be integers"),
        (b"3", "not subscriptable"),
    ],
)
def test_json_that_is_not_what_it_should_be_is_one_line(tmp_path, content, found):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(MedtlError) as error:
        read_json(path, lambda content: content["status"], **JSON)
    line = str(error.value)
    assert found in line
    assert line.startswith(f"{path}: found a file that cannot be read")
    assert line.endswith("expected a state; delete it and run again")
    assert "\n" not in line


def test_a_missing_file_says_so(tmp_path):
    for read in (lambda path: read_json(path, dict, **JSON), read_arrays, read_shapes):
        with pytest.raises(MedtlError, match="no such file"):
            read(tmp_path / "nothing")


def test_arrays_are_read_back_by_name_without_pickles(tmp_path):
    arrays = {"file": np.arange(6).reshape(2, 3), "names": np.array(["a", "ü"])}
    write_arrays(tmp_path / "a.npz", arrays)
    found = read_arrays(tmp_path / "a.npz")
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
    assert read_shapes(tmp_path / "a.npz") == {"file": (2, 3), "names": (2,)}
    assert list(read_arrays(tmp_path / "a.npz", lambda name: name == "names")) == ["names"]
    with pytest.raises(ValueError, match="pickle"):
        write_arrays(tmp_path / "b.npz", {"x": np.array([{}], dtype=object)})
    np.savez(tmp_path / "c.npz", x=np.array([{}], dtype=object))
    with pytest.raises(MedtlError, match="pickled Python objects"):
        read_arrays(tmp_path / "c.npz")


def test_a_large_array_is_compressed_only_where_that_halves_it(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (32, 256, 128), np.uint8)
    arrays = {"noise": noise, "small": noise[0, :8], "blank": np.zeros_like(noise), "grey": np.uint8(3)}
    write_arrays(tmp_path / "a.npz", arrays)
    with zipfile.ZipFile(tmp_path / "a.npz") as bundle:
        assert [member.compress_type for member in bundle.infolist()] == [
            zipfile.ZIP_STORED,
            *[zipfile.ZIP_DEFLATED] * 3,
        ]
    for name, array in read_arrays(tmp_path / "a.npz").items():
        np.testing.assert_array_equal(array, arrays[name])


def test_a_large_array_is_compressed_at_the_fast_level(tmp_path):
    rows = np.random.default_rng(0).integers(0, 4, (2048, 1024), np.uint8)
    for name, array in {"large": rows, "small": rows[:512]}.items():
        write_arrays(tmp_path / f"{name}.npz", {"x": array})
    packed = {}
    for name in ("large", "small"):
        with zipfile.ZipFile(tmp_path / f"{name}.npz") as bundle:
            (member,) = bundle.infolist()
            packed[name] = member.compress_size / member.file_size
    level = {n: len(zlib.compress(rows.tobytes(), n)) / rows.nbytes for n in (1, 6)}
    assert packed["large"] == pytest.approx(level[1], rel=0.01)
    assert packed["small"] == pytest.approx(level[6], rel=0.01)
    assert level[1] > 1.1 * level[6]


def test_an_array_that_is_mapped_from_a_file_is_written_piece_by_piece(tmp_path, monkeypatch):
    monkeypatch.setattr("medtl_core.npz._PIECE", 1000)  # bytes, three rows
    values = np.random.default_rng(0).integers(0, 256, (20, 15, 20), np.uint8)
    values.tofile(tmp_path / "values")
    mapped = np.memmap(tmp_path / "values", np.uint8, "r", shape=values.shape)
    write_arrays(tmp_path / "a.npz", {"mapped": mapped})
    write_arrays(tmp_path / "b.npz", {"mapped": values})
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    changed = np.memmap(tmp_path / "values", np.uint8, "c", shape=values.shape)  # only in memory
    changed[3:9] = 7
    write_arrays(tmp_path / "c.npz", {"mapped": changed})
    np.testing.assert_array_equal(read_arrays(tmp_path / "c.npz")["mapped"], changed)
    assert (changed[3:9] == 7).all()
    np.testing.assert_array_equal(read_arrays(tmp_path / "a.npz")["mapped"], values)


def test_random_damage_to_arrays_never_escapes_as_another_error(tmp_path):
    path = tmp_path / "a.npz"
    rng = np.random.default_rng(0)
    write_arrays(path, {"scores": rng.random((50, 2)), "cases": np.arange(50), "names": np.array(["a", "b"])})
    whole = path.read_bytes()
    lines = []
    for _ in range(300):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), 8):
            damaged[place] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        for read in (read_arrays, read_shapes):
            try:
                read(path)
            except MedtlError as error:
                lines.append(str(error))
    assert len(lines) > 100
    assert not any("\n" in line for line in lines)


def test_only_old_scratch_files_are_swept(tmp_path):
    for name, age in (("old", 7200), ("new", 0)):
        part = tmp_path / f".part-{name}"
        part.touch()
        os.utime(part, (part.stat().st_mtime - age,) * 2)
    sweep_parts(tmp_path)
    assert names(tmp_path) == [".part-new"]


def test_the_scratch_file_stands_beside_its_place(tmp_path):
    with replacing(tmp_path / "a") as scratch:
        assert scratch.parent == tmp_path
        scratch.write_text("whole")
        assert not (tmp_path / "a").exists()
    assert (tmp_path / "a").read_text() == "whole"


def test_an_error_in_one_line():
    assert one_line(ValueError("a\nb")) == "a b"
    assert one_line(ValueError()) == "ValueError"
    assert one_line(OSError(13, "Permission denied")) == "Permission denied"
