"""What does not fit into memory is refused before it is read."""

import zipfile

import numpy as np
import pytest

from medtl_core import files, memory
from medtl_core.data.archives import medmnist
from medtl_core.data.archives.archive import read_archive
from medtl_core.errors import MedtlError
from medtl_core.memory import free_memory, require_memory

LARGE = 1 << 27  # bytes


def test_what_is_free_is_less_than_all_and_what_is_more_is_refused(monkeypatch):
    import psutil

    assert 0 < free_memory() <= psutil.virtual_memory().total
    monkeypatch.setattr(memory, "free_memory", lambda: LARGE)
    require_memory(LARGE, "x.npz")
    with pytest.raises(MedtlError, match=r"x\.npz: found arrays of 0\.1 GiB, expected at most the 0\.1 GiB"):
        require_memory(LARGE + 1, "x.npz")


def test_a_container_that_has_less_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("1000\n")
    assert free_memory() > 5000
    (tmp_path / "memory.max").write_text("5000\n")
    assert free_memory() == 4000


def test_a_bomb_is_refused_by_its_size_and_never_unpacked(tmp_path, monkeypatch):
    """256 MiB of zeros in a quarter of a MiB, where 128 MiB are free."""
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as bundle:
        header = {"descr": "|u1", "fortran_order": False, "shape": (2 * LARGE,)}
        with bundle.open("images.npy", "w") as member:
            np.lib.format.write_array_header_1_0(member, header)
            for _ in range(16):
                member.write(bytes(LARGE // 8))
    assert (tmp_path / "x.npz").stat().st_size < 1 << 20
    monkeypatch.setattr(memory, "free_memory", lambda: LARGE)
    monkeypatch.setattr(files, "_members", pytest.fail)
    with pytest.raises(MedtlError, match=r"x\.npz: found arrays of 0\.3 GiB"):
        read_archive(tmp_path / "x.npz")
    monkeypatch.undo()
    assert files.read_arrays(tmp_path / "x.npz", lambda name: name != "images") == {}


@pytest.mark.parametrize("short", ["asked", "given"])
def test_parts_that_cannot_be_joined_are_one_line(tmp_path, monkeypatch, short):
    arrays = {f"{part}_images": np.zeros((4, 8, 8), np.uint8) for part in ("train", "val", "test")}
    labels = {f"{part}_labels": np.array([[0], [1], [0], [1]]) for part in ("train", "val", "test")}
    np.savez(tmp_path / "x.npz", **arrays, **labels)

    def none_left(*_):
        raise MedtlError("x.npz: found arrays") if short == "asked" else MemoryError

    if short == "asked":
        monkeypatch.setattr(medmnist, "require_memory", none_left)
    else:
        monkeypatch.setattr(medmnist.np, "concatenate", none_left)
    with pytest.raises(MedtlError, match=r"x\.npz: (found arrays|too large for this machine's memory)"):
        read_archive(tmp_path / "x.npz")
