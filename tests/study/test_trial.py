import json

import numpy as np
import pytest

from medtl_core.errors import MedtlError
from medtl_core.study.result_store import ResultStore
from medtl_core.study.trial import FinishedTrial, Predictions, Task, checked_outcome, keep_trial, read_trial


def predictions() -> Predictions:
    return Predictions(
        np.array(["a", "b", "c"]), np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [1, 0]])
    )


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


TASK = Task("full", 3, {"n": 64}, "recipe")


def finished(kept=None):
    return FinishedTrial({"auroc": 0.75}, 1.5, "cpu", kept)


@pytest.mark.parametrize("kept", [None, predictions()])
def test_a_kept_trial_is_read_back_exactly(tmp_path, kept):
    store = ResultStore(tmp_path)
    read = read_trial(store, TASK, keep_trial(store, TASK, [], finished(kept)))
    assert (read.metrics, read.seconds, read.device) == ({"auroc": 0.75}, 1.5, "cpu")
    if kept is None:
        assert read.predictions is None
    else:
        for name, array in vars(kept).items():
            np.testing.assert_array_equal(getattr(read.predictions, name), array)


def test_the_trial_of_another_task_is_not_taken(tmp_path):
    store = ResultStore(tmp_path)
    key = keep_trial(store, TASK, [], finished())
    with pytest.raises(MedtlError, match="arm is 'full' and not 'scratch'"):
        read_trial(store, Task("scratch", 3, {"n": 64}, "recipe"), key)


@pytest.mark.parametrize("change", [{"metrics": {"auroc": None}}, {"metrics": {}}, {"seconds": "x"}])
def test_a_file_that_is_no_trial_is_one_line(tmp_path, change):
    store = ResultStore(tmp_path)
    key = keep_trial(store, TASK, [], finished())
    path = tmp_path / f"{key}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(MedtlError, match=rf"{key}\.json: found no readable trial .*; delete it and run"):
        read_trial(store, TASK, key)
