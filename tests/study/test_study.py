import json
import os
import random
import threading
import types
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from medtl_core.errors import MedtlError
from medtl_core.evidence.record_store import RecordStore
from medtl_core.study import parallel
from medtl_core.study.cache_key import reach
from medtl_core.study.study import DataIdentity, Study
from medtl_core.study.trial import Predictions

COLUMNS = [
    "notebook",
    "study",
    "dataset",
    "source_domain",
    "target_domain",
    "arm",
    "n",
    "seed",
    "metric",
    "value",
    "direction",
    "n_test",
    "seconds",
    "device",
    "key",
]
DATA = DataIdentity("phantoms", "abc", synthetic=True)


def trial(arm: str, seed: int, n: int) -> dict[str, object]:
    """Draws from every random source, as training does."""
    with open(Path(os.environ["MEDTL_OUT"]).parent / "log", "a") as log:  # which workers are told, too
        log.write(f"{arm} {seed} {n} {os.getpid()} {torch.get_num_threads()}\n")
    scores = torch.rand(4, 2).numpy() + np.random.rand() + random.random()  # noqa: NPY002
    shift = 0.1 if arm == "full" else 0.0
    return {
        "auroc": float(scores.mean()) / 10 + shift,
        "ece": 0.1,
        "predictions": Predictions(np.arange(4), np.array([0, 1, 0, 1]), scores),
    }


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    for name, folder in {"MEDTL_OUT": "run", "MEDTL_STORE": "store"}.items():
        monkeypatch.setenv(name, str(tmp_path / folder))
    monkeypatch.setenv("MEDTL_DEVICE", "cpu")
    monkeypatch.delenv("MEDTL_WORKERS", raising=False)
    return tmp_path


def runs(folder) -> list[str]:
    return (folder / "log").read_text().splitlines() if (folder / "log").exists() else []


def study(**changes) -> Study:
    arguments = {
        "notebook": "02_fine_tuning",
        "trial": trial,
        "arms": ["scratch", "full"],
        "seeds": range(3),
        "factors": {"n": [16, 32]},
        "data": DATA,
        "source_domain": "a",
    }
    return Study("learning_curve", **{**arguments, **changes})


def test_one_row_per_record_in_the_order_of_the_grid(folders):
    frame = study().run(progress=False)
    assert list(frame.columns) == COLUMNS
    assert len(frame) == 2 * 3 * 2 * 2
    auroc = frame[frame.metric == "auroc"]
    grid = [(n, seed, arm) for n in (16, 32) for seed in range(3) for arm in ("scratch", "full")]
    assert list(auroc[["n", "seed", "arm"]].itertuples(index=False, name=None)) == grid
    assert set(zip(frame.metric, frame.direction, strict=True)) == {("auroc", "higher"), ("ece", "lower")}
    assert (frame.n_test == 4).all()
    assert (frame.device == "cpu").all()
    assert auroc.key.is_unique
    paired = auroc.pivot(index=["n", "seed"], columns="arm", values="value")
    np.testing.assert_allclose(paired.full - paired.scratch, 0.1)  # arms of one seed see the same draws


def test_records_and_predictions_are_in_the_run_directory(folders):
    frame = study().run(progress=False)
    store = RecordStore(folders / "run")
    pd.testing.assert_frame_equal(
        store.frame().sort_values(["key", "metric"])[COLUMNS].reset_index(drop=True),
        frame.sort_values(["key", "metric"]).reset_index(drop=True),
    )
    kept = store.predictions(frame.key[0])
    assert kept["scores"].shape == (4, 2)


def test_a_finished_trial_never_runs_twice_and_is_recorded_in_every_run(folders, monkeypatch):
    first = study().run(progress=False)
    assert len(runs(folders)) == 12
    monkeypatch.setenv("MEDTL_OUT", str(folders / "second"))
    pd.testing.assert_frame_equal(study().run(progress=False), first)
    assert len(runs(folders)) == 12
    assert len(RecordStore(folders / "second").all()) == 24
    study(seeds=range(4)).run(progress=False)
    assert len(runs(folders)) == 16
    study(data=DataIdentity("phantoms", "other", synthetic=True)).run(progress=False)
    assert len(runs(folders)) == 28


def test_the_seed_alone_decides_the_draws(folders, monkeypatch):
    first = study().run(progress=False)
    monkeypatch.setenv("MEDTL_STORE", str(folders / "other"))
    reversed_grid = study(seeds=[2, 1, 0], arms=["full", "scratch"], factors={"n": [32, 16]}).run(
        progress=False
    )
    keys = ["n", "seed", "arm", "metric"]
    one, other = (f.set_index(keys).sort_index().drop(columns="seconds") for f in (first, reversed_grid))
    pd.testing.assert_frame_equal(one, other, check_exact=True)


@pytest.mark.slow
def test_workers_take_over_after_the_first_trial_and_give_the_same_records(
    folders, monkeypatch, four_threads
):
    one = study().run(progress=False)
    monkeypatch.setenv("MEDTL_STORE", str(folders / "parallel"))
    monkeypatch.setenv("MEDTL_WORKERS", "2")
    monkeypatch.setattr(parallel, "_START_S", 0)
    two = study().run(progress=False)
    pd.testing.assert_frame_equal(one.drop(columns="seconds"), two.drop(columns="seconds"), check_exact=True)
    lines = [line.split() for line in runs(folders)[12:]]
    processes = [int(line[3]) for line in lines]
    assert len(lines) == 12
    assert processes[0] == os.getpid()
    assert os.getpid() not in processes[1:]
    assert len(set(processes[1:])) == 2
    assert {line[4] for line in lines} == {"2"}  # half of four threads each, wherever it ran
    assert torch.get_num_threads() == 4


def test_short_trials_are_not_worth_the_start_of_workers(folders, four_threads):
    study().run(progress=False, workers=2)
    lines = [line.split() for line in runs(folders)]
    assert {int(line[3]) for line in lines} == {os.getpid()}
    assert {line[4] for line in lines} == {"2"}


@pytest.mark.parametrize(
    ("spent", "done", "left", "workers", "sooner"),
    [
        (0.0, 0, 12, 2, False),  # nothing is known yet
        (10.0, 1, 3, 2, True),  # 8 + 2 * 10 seconds beside 3 * 10
        (10.0, 1, 2, 2, True),  # 8 + 10 beside 20
        (10.0, 1, 1, 2, False),  # one trial is no sooner elsewhere
        (10.0, 2, 3, 2, False),  # 8 + 2 * 5 beside 3 * 5
        (10.0, 2, 4, 4, True),  # 8 + 5 beside 20
        (600.0, 1, 100, 1, False),  # one worker is no help
    ],
)
def test_workers_start_where_they_are_through_sooner(spent, done, left, workers, sooner):
    assert parallel._workers_are_sooner(spent, done, left, workers) is sooner


def pool_sizes(kind: str) -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == kind}


def counting_threads(arm: str, seed: int) -> dict[str, float]:
    with open(Path(os.environ["MEDTL_OUT"]).parent / "log", "a") as log:
        log.write(f"{os.getpid()}\n")
    return {"auroc": float(max(pool_sizes("blas"))), "ece": float(min(pool_sizes("openmp")))}


def test_a_trial_in_this_process_has_one_thread_for_numpy_and_gives_the_others_back(folders):
    with threadpool_limits(limits=2, user_api="blas"):
        found = study(trial=counting_threads, factors={}, arms=["full"], n_test=4).run(progress=False)
        assert pool_sizes("blas") == {2}
    assert set(found[found.metric == "auroc"]["value"]) == {1.0}


@pytest.mark.slow
def test_pools_of_threads_are_as_large_in_a_worker_as_here(folders, monkeypatch, four_threads):
    monkeypatch.setattr(parallel, "_START_S", 0)
    counted = study(trial=counting_threads, factors={}, arms=["full"], seeds=range(6), n_test=4)
    found = counted.run(progress=False, workers=2)
    assert len(set(runs(folders))) == 3
    assert set(found[found.metric == "auroc"]["value"]) == {1.0}
    assert set(found[found.metric == "ece"]["value"]) == {2.0}


def telling_variables(arm: str, seed: int) -> dict[str, float]:
    with open(Path(os.environ["MEDTL_OUT"]).parent / "log", "a") as log:
        log.write(f"{os.getpid()} {os.environ.get('MEDTL_WEIGHTS')}\n")
    return {"auroc": 0.5}


@pytest.mark.slow
def test_a_worker_forgets_variables_that_are_unset(folders, monkeypatch, four_threads):
    monkeypatch.setattr(parallel, "_START_S", 0)
    for weights in ("here", None):
        if weights is None:
            monkeypatch.delenv("MEDTL_WEIGHTS")
        else:
            (folders / weights).mkdir()
            monkeypatch.setenv("MEDTL_WEIGHTS", str(folders / weights))
        seeds = range(6) if weights else range(6, 12)
        study(trial=telling_variables, factors={}, arms=["full"], seeds=seeds, n_test=4).run(False, workers=2)
    told = [line.split() for line in runs(folders)]
    assert {weights for _, weights in told[:6]} == {str(folders / "here")}
    assert {weights for _, weights in told[6:]} == {"None"}
    assert {process for process, _ in told[1:6]} & {process for process, _ in told[7:]}  # the same workers


LOCK = threading.Lock()


def holding_a_lock(arm: str, seed: int) -> dict[str, float]:
    return {"auroc": float(LOCK.locked())}


def test_what_no_other_process_can_be_given_is_refused_before_the_first_trial(folders, four_threads):
    holding = types.FunctionType(holding_a_lock.__code__, {"LOCK": LOCK, "__name__": "__main__"}, "holding")
    with pytest.raises(MedtlError, match=r"holding: cannot be handed to another process .*MEDTL_WORKERS=1"):
        list(parallel.execute(holding, [None, None], folders, 2, reach(trial)))


class TwoPartError(Exception):
    """Does not come through pickling, as many exceptions of libraries."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one + two)


def failing_late(arm: str, seed: int) -> dict[str, float]:
    if seed:
        raise TwoPartError("no ", "way")
    return {"auroc": 0.5}


@pytest.mark.slow
def test_an_error_that_cannot_leave_a_worker_is_told_in_words(folders, monkeypatch, four_threads):
    monkeypatch.setattr(parallel, "_START_S", 0)
    broken = study(trial=failing_late, factors={}, arms=["full"], n_test=4)
    with pytest.raises(MedtlError, match=r"TwoPartError in trial\(arm='full', seed=\d\): no way; run one"):
        broken.run(progress=False, workers=2)


def failing(arm: str, seed: int) -> dict[str, float]:
    if seed == 1:
        raise ZeroDivisionError("no")
    return {"auroc": 0.5}


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_an_error_names_its_trial_and_what_finished_before_is_kept(
    folders, workers, four_threads, monkeypatch
):
    monkeypatch.setattr(parallel, "_START_S", 0)
    broken = study(trial=failing, factors={}, arms=["full"], n_test=4)
    with pytest.raises(ZeroDivisionError) as error:
        broken.run(progress=False, workers=workers)
    assert "in trial(arm='full', seed=1)" in error.value.__notes__
    stored = {json.loads(path.read_text())["seed"] for path in (folders / "store").glob("*.json")}
    assert stored == {0} if workers == 1 else {0} <= stored <= {0, 2}


def not_finite(arm: str, seed: int) -> dict[str, float]:
    return {"auroc": float("nan")}


def unknown_metric(arm: str, seed: int) -> dict[str, float]:
    return {"novelty": 1.0}


def test_a_metric_that_is_not_finite_is_an_error_and_leaves_nothing(folders):
    with pytest.raises(MedtlError, match=r"trial\(arm='full', seed=0\) returned auroc = nan"):
        study(trial=not_finite, factors={}, arms=["full"], n_test=4).run(progress=False)
    assert list((folders / "store").iterdir()) == []
    assert not (folders / "run").exists()


def test_a_metric_needs_a_direction_which_the_caller_can_give():
    arguments = {"trial": unknown_metric, "factors": {}, "n_test": 4}
    with pytest.raises(MedtlError, match="higher or lower is better for novelty"):
        study(**arguments).run(progress=False)
    frame = study(**arguments, directions={"novelty": "lower"}).run(progress=False)
    assert set(frame.direction) == {"lower"}


def test_the_number_of_test_cases_is_needed_without_predictions():
    with pytest.raises(MedtlError, match="no predictions and the study has no n_test"):
        study(trial=unknown_metric, factors={}).run(progress=False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arms": []}, "arm has no level"),
        ({"arms": "full"}, "arm is the text 'full'"),
        ({"arms": ["full", "full"]}, "arm names a level twice"),
        ({"arms": [1]}, "arm has the level 1, expected str"),
        ({"seeds": [0.5]}, "seed has the level 0.5, expected int"),
        ({"seeds": [True]}, "seed has the level True"),
        ({"factors": {"n": []}}, "n has no level"),
        ({"factors": {"n": [None]}}, "n has the level None"),
        ({"factors": {"n": [float("inf")]}}, "n has the level inf"),
        ({"factors": {"n": [[1]]}}, r"n has the level \[1\]"),
        ({"factors": {"metric": [1]}}, "factor 'metric' has the name of a column"),
        ({"factors": {"size": [1]}}, r"cannot be called with \(arm, seed, size=…\)"),
        ({"factors": {}}, "missing a required argument: 'n'"),
    ],
)
def test_a_grid_that_cannot_be_made_is_refused(changes, message):
    with pytest.raises(MedtlError, match=message):
        study(**changes)


@pytest.mark.parametrize("workers", ["0", "-1", "two", "1.5"])
def test_workers_are_a_whole_number(monkeypatch, workers):
    monkeypatch.setenv("MEDTL_WORKERS", workers)
    with pytest.raises(MedtlError, match="expected a whole number of at least 1"):
        study().run(progress=False)


def test_numpy_levels_are_taken_as_python_values():
    frame = study(seeds=np.arange(2), factors={"n": np.array([16])}).run(progress=False)
    plain = study(seeds=[0, 1], factors={"n": [16]}).run(progress=False)
    pd.testing.assert_frame_equal(frame, plain)


def test_a_study_that_is_left_out_says_what_it_would_measure(monkeypatch, tmp_path):
    monkeypatch.setenv("MEDTL_OUT", str(tmp_path / "run"))
    left_out = Study(
        "curve",
        notebook="02",
        trial=trial,
        arms=["full", "scratch"],
        seeds=[0],
        data=DATA,
        factors={"n": [8, 16]},
    )
    left_out.declare(["auroc", "ece"])
    (found,) = RecordStore(tmp_path / "run").declarations()
    assert (found.arms, dict(found.factors)) == (("full", "scratch"), {"n": (8, 16)})
    assert dict(found.metrics) == {"auroc": "higher", "ece": "lower"}
    assert not RecordStore(tmp_path / "run").all()
    with pytest.raises(MedtlError, match="nothing says whether higher or lower is better for speed"):
        left_out.declare(["speed"])
