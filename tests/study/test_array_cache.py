"""Arrays are made once for each key, and a damaged file is named."""

import numpy as np
import pytest

from medtl_core.errors import MedtlError
from medtl_core.study.array_cache import kept_arrays


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDTL_STORE", str(tmp_path / "trials"))
    return tmp_path / "trials" / "arrays"


def test_arrays_are_made_once_for_each_key():
    calls = []

    def make():
        calls.append(len(calls))
        return {
            "features": np.arange(6, dtype=np.float32).reshape(2, 3) + len(calls),
            "cases": np.array([4, 2]),
        }

    first, again, other = kept_arrays("a", make), kept_arrays("a", make), kept_arrays("b", make)
    assert calls == [0, 1]
    np.testing.assert_array_equal(first["features"], [[1, 2, 3], [4, 5, 6]])
    np.testing.assert_array_equal(again["features"], first["features"])
    assert (again["features"].dtype, list(again)) == (np.float32, ["features", "cases"])
    assert other["features"][0, 0] == 2


def test_what_fails_leaves_nothing_behind(folder):
    def broken():
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        kept_arrays("a", broken)
    assert not list(folder.glob("*"))
    assert kept_arrays("a", lambda: {"x": np.ones(2)})["x"].tolist() == [1, 1]


def test_a_damaged_file_is_named(folder):
    kept_arrays("a", lambda: {"x": np.ones(200)})
    file = folder / "a.npz"
    file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(MedtlError, match=r"a\.npz: found a damaged file"):
        kept_arrays("a", lambda: {"x": np.zeros(1)})
