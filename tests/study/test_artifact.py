"""Artefacts are made once, seeded, and carry what they depend on into the trials that use them."""

import multiprocessing
import os

import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell

from medtl_core.errors import MedtlError
from medtl_core.inputs import noting, used
from medtl_core.settings import store_folder
from medtl_core.study import parallel
from medtl_core.study.cache_key import reach
from medtl_core.study.study import DataIdentity, Study

WEIGHTS = {"a": "one"}
SCALE = 1.0


def weights_digest(name: str) -> str:
    return WEIGHTS[name]


def made(kind: str, seed: int) -> dict[str, np.ndarray]:
    with open(os.path.join(os.path.dirname(os.environ["MEDTL_OUT"]), "log"), "a") as log:
        log.write(f"{kind} {seed}\n")
    used(weights_digest, "a")
    return {"features": SCALE * np.random.rand(2, 3), "names": np.array(["x", "y"])}  # noqa: NPY002


features = Study.artifact(made)


@pytest.fixture(autouse=True)
def log(tmp_path, monkeypatch):
    for name, folder in {"MEDTL_OUT": "run", "MEDTL_STORE": "store"}.items():
        monkeypatch.setenv(name, str(tmp_path / folder))
    monkeypatch.setenv("MEDTL_DEVICE", "cpu")
    return lambda: (tmp_path / "log").read_text().splitlines()


def test_an_artefact_is_made_once_for_its_arguments_and_seeded(log):
    first, again, other = features("chest", 0), features("chest", 0), features("chest", 1)
    assert log() == ["chest 0", "chest 1"]
    np.testing.assert_array_equal(first["features"], again["features"])
    np.testing.assert_array_equal(first["names"], ["x", "y"])
    assert not np.array_equal(first["features"], other["features"])


def test_other_source_settings_or_weights_make_it_again(log, monkeypatch):
    features("chest", 0)
    monkeypatch.setattr("test_artifact.SCALE", 2.0)
    np.testing.assert_array_less(0, features("chest", 0)["features"])
    monkeypatch.setitem(WEIGHTS, "a", "two")
    features("chest", 0)
    assert log() == ["chest 0"] * 3
    monkeypatch.setitem(WEIGHTS, "a", "one")
    features("chest", 0)
    assert len(log()) == 3


def measure(arm: str, seed: int) -> dict[str, float]:
    return {"auroc": float(features("chest", seed)["features"].mean()) / 10}


@pytest.mark.slow
def test_a_trial_inherits_the_artefacts_source_and_inputs(log, monkeypatch):
    arguments = {"notebook": "nb", "trial": measure, "arms": ["a", "b"], "seeds": range(2), "n_test": 3}
    study = Study("s", data=DataIdentity("phantoms", "abc", synthetic=True), **arguments)
    first = study.run(progress=False)
    assert log() == ["chest 0", "chest 1"]  # once for both arms
    monkeypatch.setitem(WEIGHTS, "a", "two")
    second = study.run(progress=False)
    assert len(log()) == 4
    assert not set(first.key) & set(second.key)
    before = reach(measure).digest
    monkeypatch.setattr("test_artifact.SCALE", 2.0)
    assert reach(measure).digest != before


def test_an_artefact_that_is_read_tells_its_inputs_too():
    features("chest", 0)
    with noting() as inputs:
        features("chest", 0)
    assert [found.name for found in inputs] == ["a"]


def test_several_processes_make_it_once(log):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=features, args=("chest", 0)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert log() == ["chest 0"]


CELL = """
import os
import numpy as np
from medtl_core.study.study import DataIdentity, Study

@Study.artifact
def drawn(kind, seed):
    with open(os.path.join(os.path.dirname(os.environ["MEDTL_OUT"]), "log"), "a") as log:
        log.write(f"{kind} {seed} {os.getpid()}\\n")
    return {"x": np.ones(3)}

def trial(arm, seed):
    return {"auroc": float(drawn(arm, seed)["x"].mean())}

data = DataIdentity("phantoms", "abc", synthetic=True)
arms = ["a", "b", "c", "d"]
Study("s", notebook="nb", trial=trial, arms=arms, seeds=[0], data=data, n_test=3).run(False, workers=2)
for arm in arms:
    drawn(arm, 0)
"""


@pytest.mark.slow
def test_a_cells_artefact_that_a_worker_made_is_not_made_again_here(log, monkeypatch):
    monkeypatch.setattr(parallel, "_START_S", 0)
    InteractiveShell().run_cell(CELL).raise_error()
    made = sorted(line.rsplit(" ", 1) for line in log())
    assert [what for what, _ in made] == ["a 0", "b 0", "c 0", "d 0"]
    assert made[0][1] == str(os.getpid())
    assert str(os.getpid()) not in {process for _, process in made[1:]}


CACHED = """
import functools
from medtl_core.study.study import DataIdentity, Study

@functools.cache
def once(seed):
    return seed + 0.25

@functools.lru_cache(maxsize=3)
def few(seed):
    return once(seed) / 2

def trial(arm, seed):
    here.append(arm)
    return {"auroc": few(seed) + few.cache_parameters()["maxsize"] / 10}

here = []
data = DataIdentity("phantoms", "abc", synthetic=True)
study = Study("s", notebook="nb", trial=trial, arms=["a", "b", "c", "d"], seeds=[0], data=data, n_test=3)
found = study.run(False, workers=2)
assert (found["value"] == 0.425).all(), found
assert here == ["a"], here
"""


@pytest.mark.slow
def test_workers_find_functions_that_a_cell_has_cached(monkeypatch):
    monkeypatch.setattr(parallel, "_START_S", 0)
    InteractiveShell().run_cell(CACHED).raise_error()


def test_what_fails_leaves_nothing(monkeypatch):
    monkeypatch.delitem(WEIGHTS, "a")
    with pytest.raises(KeyError):
        features("chest", 0)
    assert not list((store_folder() / "artefacts").glob("*.json"))


@pytest.mark.parametrize(
    ("product", "line"),
    [
        ([1], "artefact bad: made list, expected arrays by name"),
        ({}, "artefact bad: made dict, expected arrays by name"),
        ({"x": np.array([{}])}, "artefact bad: 'x' holds objects, expected numbers or text"),
    ],
)
def test_what_is_no_arrays_is_refused(product, line):
    def bad(seed):
        return product

    with pytest.raises(MedtlError, match=line):
        Study.artifact(bad)(0)


def test_numbers_of_numpy_are_arguments_as_others_are(log):
    doubled = Study.artifact(lambda n, seed: {"x": np.array([2 * n])})
    assert doubled(np.int64(3), 0)["x"] == doubled(3, 0)["x"] == 6


def test_the_last_argument_is_the_seed():
    with pytest.raises(MedtlError, match="the last argument is 'chest', expected the seed"):
        features("chest")
