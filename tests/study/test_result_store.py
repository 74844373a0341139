"""Results are found by what they were made from, and a file that is not what it claims to be is named."""

import json
import os

import numpy as np
import pytest

from medtl_core.errors import MedtlError
from medtl_core.inputs import Input
from medtl_core.study.cache_key import result_key
from medtl_core.study.result_store import ResultStore

ARRAYS = {"scores": np.arange(6.0).reshape(3, 2), "cases": np.array(["a", "b", "c"])}
CONTENTS = {"weights": "one"}


def content_of(name: str) -> str:
    return CONTENTS[name]


INPUT = Input(f"{__name__}:content_of", "weights")


@pytest.fixture
def store(tmp_path):
    return ResultStore(tmp_path / "deep" / "store")


def names(store) -> list[str]:
    return sorted(path.name for path in store.folder.iterdir())


def test_a_result_is_read_back(store):
    assert store.key("recipe") is None
    key = store.keep("recipe", [], {"arm": "full"}, ARRAYS)
    assert store.key("recipe") == key
    assert store.has(key)
    content, arrays = ResultStore(store.folder).read(key, {"arm": "full"})
    assert content["arm"] == "full"
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)


def test_a_result_stands_for_the_inputs_that_it_was_made_from(store, monkeypatch):
    first = store.keep("recipe", [INPUT], {})
    assert store.key("recipe") == first
    monkeypatch.setitem(CONTENTS, "weights", "two")
    second = store.key("recipe")
    assert second != first
    assert not store.has(second)
    assert store.keep("recipe", [INPUT], {}) == second
    monkeypatch.setitem(CONTENTS, "weights", "one")
    assert store.key("recipe") == first  # both are kept
    assert store.has(first)


def test_the_order_in_which_inputs_were_used_does_not_matter():
    other = Input(INPUT.resolver, "weights")
    assert result_key("r", [INPUT, other]) == result_key("r", [other, INPUT])


def test_an_input_that_is_gone_is_an_error(store, monkeypatch):
    store.keep("recipe", [INPUT], {})
    monkeypatch.delitem(CONTENTS, "weights")
    with pytest.raises(KeyError):
        store.key("recipe")


@pytest.mark.parametrize("suffix", ["json", "npz"])
def test_300_random_damages_are_one_line_each(store, suffix):
    key = store.keep("recipe", [], {"arm": "full", "seconds": 1.25}, ARRAYS)
    path = store.folder / f"{key}.{suffix}"
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), 8):
            damaged[place] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        try:
            store.read(key, {"arm": "full"})
        except MedtlError as error:
            refused += "\n" not in str(error)
    assert refused >= 295  # a change of `seconds` from one number to another cannot be seen


def test_cut_and_empty_files_are_one_line(store):
    key = store.keep("recipe", [], {}, ARRAYS)
    for suffix in ("json", "npz"):
        path = store.folder / f"{key}.{suffix}"
        whole = path.read_bytes()
        for part in (b"", whole[: len(whole) // 2]):
            path.write_bytes(part)
            with pytest.raises(MedtlError, match=rf"{key}\.{suffix}.*delete it and run again"):
                store.read(key, {})
        path.write_bytes(whole)


def test_a_file_under_another_name_is_not_taken(store):
    one, other = (store.keep(recipe, [], {"arm": recipe}, ARRAYS) for recipe in ("one", "other"))
    (store.folder / f"{one}.json").replace(store.folder / f"{other}.json")
    with pytest.raises(MedtlError, match=f"key is '{one}' and not '{other}'"):
        store.read(other, {})


def test_arrays_of_another_result_are_not_taken(store):
    one = store.keep("one", [], {}, ARRAYS)
    other = store.keep("other", [], {}, {"scores": np.zeros((3, 2))})
    (store.folder / f"{other}.npz").replace(store.folder / f"{one}.npz")
    with pytest.raises(MedtlError, match=r"found other arrays than .*\.json names"):
        store.read(one, {})


def test_arrays_without_their_json_are_no_result(store):
    key = store.keep("recipe", [], {}, ARRAYS)
    (store.folder / f"{key}.json").unlink()
    assert not store.has(key)


def test_what_cannot_be_written_leaves_nothing(store, monkeypatch):
    def no_space(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", no_space)
    with pytest.raises(MedtlError, match=r"npz: cannot be written \(No space left on device\)"):
        store.keep("recipe", [], {}, ARRAYS)
    assert names(store) == []


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(MedtlError, match="set MEDTL_STORE"):
        ResultStore(tmp_path / "file" / "trials")


def test_a_damaged_list_of_inputs_is_one_line(store):
    store.keep("recipe", [INPUT], {})
    (store.folder / "recipe.inputs").write_text(json.dumps([["a"]]))
    with pytest.raises(MedtlError, match=r"recipe\.inputs: .*expected a list of inputs"):
        store.key("recipe")
