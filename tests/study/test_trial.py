import os
import time

import numpy as np
import pytest

from medtl_core.errors import MedtlError
from medtl_core.study.trial import FinishedTrial, Predictions, TrialStore, checked_outcome


def predictions() -> Predictions:
    return Predictions(
        np.array(["a", "b", "c"]), np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [1, 0]])
    )


def finished(kept: Predictions | None = None) -> FinishedTrial:
    return FinishedTrial("k1", "full", 3, {"n": 64, "note": "x"}, {"auroc": 0.1 + 0.2}, 1.5, "cpu", kept)


def test_metrics_become_floats_and_predictions_are_kept_apart():
    kept = predictions()
    metrics, found = checked_outcome(
        {"auroc": np.float32(0.5), "failed": np.bool_(True), "steps": 3, "predictions": kept}, "trial()"
    )
    assert metrics == {"auroc": 0.5, "failed": 1.0, "steps": 3.0}
    assert all(type(value) is float for value in metrics.values())
    assert found is kept


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        (None, "returned NoneType, expected a dictionary"),
        ({}, "returned no metric"),
        ({"predictions": predictions()}, "returned no metric"),
        ({"auroc": float("nan")}, "auroc = nan, expected a finite number"),
        ({"auroc": np.inf}, "auroc = inf"),
        ({"auroc": "0.5"}, "auroc as str, expected a number"),
        ({"auroc": None}, "auroc as NoneType"),
        ({"auroc": np.array([0.5])}, "auroc as ndarray"),
        ({"auroc": 1j}, "auroc as complex"),
        ({1: 0.5}, "a metric named 1"),
        ({"auroc": 0.5, "predictions": [1]}, "list under 'predictions'"),
    ],
)
def test_anything_else_is_refused(outcome, message):
    with pytest.raises(MedtlError, match=message) as error:
        checked_outcome(outcome, "trial(arm='full')")
    assert "trial(arm='full')" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("cases", "labels", "scores", "message"),
    [
        (np.arange(3), np.zeros(2, int), np.zeros((2, 2)), r"cases \(3,\)"),
        (np.arange(2), np.zeros(2, int), np.zeros(2), r"scores \(2,\)"),
        (np.arange(0), np.zeros(0, int), np.zeros((0, 2)), "at least 1"),
        (np.arange(2), np.zeros(2), np.zeros((2, 2)), "labels float64"),
        (np.array(["a", None]), np.zeros(2, int), np.zeros((2, 2)), "cases are object"),
        (np.arange(2), np.zeros(2, int), np.full((2, 2), np.nan), "4 scores are not finite"),
        (np.arange(2), np.array([0, 2]), np.zeros((2, 2)), "labels from 0 to 2"),
        (np.arange(2), np.array([-1, 1]), np.zeros((2, 2)), "labels from -1 to 1"),
    ],
)
def test_predictions_that_do_not_fit_are_refused(cases, labels, scores, message):
    with pytest.raises(MedtlError, match=message):
        Predictions(cases, labels, scores)


@pytest.mark.parametrize("kept", [None, predictions()])
def test_a_kept_trial_is_read_back_exactly(tmp_path, kept):
    store = TrialStore(tmp_path / "deep" / "folder")
    assert not store.has("k1")
    store.keep(finished(kept))
    assert store.has("k1")
    read = TrialStore(tmp_path / "deep" / "folder").read("k1")
    assert {**vars(read), "predictions": None} == {**vars(finished()), "predictions": None}
    if kept is None:
        assert read.predictions is None
    else:
        for name, array in vars(kept).items():
            np.testing.assert_array_equal(getattr(read.predictions, name), array)


@pytest.mark.parametrize("suffix", ["json", "npz"])
def test_a_damaged_trial_is_named(tmp_path, suffix):
    store = TrialStore(tmp_path)
    store.keep(finished(predictions()))
    path = tmp_path / f"k1.{suffix}"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(MedtlError, match=rf"k1\.{suffix}: no readable trial .*; delete it"):
        store.read("k1")


def test_predictions_without_their_json_are_no_finished_trial(tmp_path):
    store = TrialStore(tmp_path)
    store.keep(finished(predictions()))
    (tmp_path / "k1.json").unlink()
    assert not store.has("k1")


def test_a_trial_that_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    store = TrialStore(tmp_path)

    def no_space(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", no_space)
    with pytest.raises(MedtlError, match=r"k1.npz: cannot be written \(No space left on device\)"):
        store.keep(finished(predictions()))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MedtlError, match="set MEDTL_STORE"):
        TrialStore(tmp_path / "file" / "trials")


def test_only_old_parts_of_killed_processes_are_removed(tmp_path):
    for name, age in (("old", 7200.0), ("new", 0.0)):
        path = tmp_path / f".part-{name}"
        path.write_text("half")
        os.utime(path, (time.time() - age, time.time() - age))
    TrialStore(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".part-new"]
