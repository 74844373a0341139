"""A study that is killed in the middle, and studies that are defined in notebook cells."""

import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell

from medtl_core.evidence.record_store import RecordStore
from medtl_core.study import parallel

SCRIPT = """
import os, time
import torch
from medtl_core.study.study import DataIdentity, Study
from medtl_core.study.trial import Predictions

OFFSET = 0.25

def measure(seed):
    return torch.rand(3, 2).double().numpy() + seed + OFFSET

def trial(arm, seed, n):
    with open(os.path.join(os.path.dirname(os.environ["MEDTL_OUT"]), "log"), "a") as log:
        log.write(f"{arm} {seed} {n}\\n")
    time.sleep(float(os.environ.get("TRIAL_PAUSE", 0)))
    scores = measure(seed)
    return {"auroc": float(scores.mean()) / n, "predictions": Predictions([0, 1, 2], [0, 1, 1], scores)}

study = Study(
    "learning_curve", notebook="02_fine_tuning", trial=trial, arms=["scratch", "full"], seeds=range(3),
    factors={"n": [16, 32]}, data=DataIdentity("phantoms", "abc", synthetic=True),
)
frame = study.run(progress=False, workers=WORKERS)
"""


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    for name, folder in {"MEDTL_OUT": "run", "MEDTL_STORE": "store"}.items():
        monkeypatch.setenv(name, str(tmp_path / folder))
    monkeypatch.setenv("MEDTL_DEVICE", "cpu")
    return tmp_path


def started(folder: Path) -> list[str]:
    return (folder / "log").read_text().splitlines() if (folder / "log").exists() else []


def without_time(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop(columns="seconds").sort_values(["key", "metric"]).reset_index(drop=True)


@pytest.mark.slow
def test_a_killed_study_continues_and_ends_with_the_records_of_an_undisturbed_one(folders, monkeypatch):
    script = folders / "study.py"
    script.write_text(SCRIPT.replace("WORKERS", "1"))
    process = subprocess.Popen(
        [sys.executable, script], env={**os.environ, "TRIAL_PAUSE": "0.5"}, start_new_session=True
    )
    deadline = time.monotonic() + 120
    while len(list((folders / "store").glob("*.json"))) < 3 and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = {path.name for path in (folders / "store").iterdir() if path.suffix != ".inputs"}
    finished = {name for name in kept if name.endswith(".json")}
    assert 3 <= len(finished) < 12
    assert kept == finished | {name.replace(".json", ".npz") for name in finished}
    interrupted = started(folders)
    assert len(interrupted) - len(finished) in (0, 1)  # the one that was killed

    resumed = runpy.run_path(str(script))["frame"]
    assert len(started(folders)) - len(interrupted) == 12 - len(finished)

    monkeypatch.setenv("MEDTL_STORE", str(folders / "undisturbed"))
    monkeypatch.setenv("MEDTL_OUT", str(folders / "undisturbed_run"))
    undisturbed = runpy.run_path(str(script))["frame"]
    pd.testing.assert_frame_equal(without_time(resumed), without_time(undisturbed), check_exact=True)
    one, two = RecordStore(folders / "run"), RecordStore(folders / "undisturbed_run")
    pd.testing.assert_frame_equal(without_time(one.frame()), without_time(two.frame()), check_exact=True)
    assert len(one.all()) == 12
    for key in resumed.key:
        assert (one.predictions(key)["scores"] == two.predictions(key)["scores"]).all()


@pytest.mark.slow
def test_a_study_in_notebook_cells_runs_in_workers_and_follows_what_other_cells_define(
    folders, four_threads, monkeypatch
):
    monkeypatch.setattr(parallel, "_START_S", 0)
    shell = InteractiveShell()
    setup, rest = SCRIPT.split("def measure")
    measure, rest = rest.split("def trial")
    cells = [setup, "def measure" + measure, "def trial" + rest.replace("WORKERS", "2")]

    def run(*codes: str) -> pd.DataFrame:
        for code in codes:
            shell.run_cell(code).raise_error()
        return shell.user_ns["frame"]

    first = run(*cells)
    assert len(started(folders)) == 12
    pd.testing.assert_frame_equal(run(*cells), first)
    pd.testing.assert_frame_equal(run("# only a comment\n" + cells[1], cells[2]), first)
    assert len(started(folders)) == 12  # nothing ran again
    second = run("OFFSET = 0.5", cells[2])
    assert len(started(folders)) == 24
    assert set(second.key).isdisjoint(first.key)
    third = run("def measure(seed):\n    return torch.zeros(3, 2).numpy()", cells[2])
    assert len(started(folders)) == 36
    assert (third.value == 0).all()
    assert ((second.value - first.value) * second.n - 0.25).abs().max() < 1e-9
