"""Whoever of a run is ended, and however: nothing of it is left, and the next run tells the same."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from distributed import Client
from mini_project import CLAIMS, write_notebook

from medtl_core.data.archives.archive import Archive, write_archive

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SIGNALS = [signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
RULE = """\
    - reading: main
      hypothesis: "b is better than a"
      kind: superiority
      study: race
      metric: auroc
      treatment: b
      control: a
      margin: 0.02
"""
RACE = """\
import time

import numpy as np

from medtl_core.study import parallel
from medtl_core.study.study import DataIdentity, Study

parallel._START_S = 0  # workers are worth their start, however short a trial is


def trial(arm, seed):
    time.sleep(0.3)
    return {"auroc": 0.7 + 0.1 * (arm == "b") + 0.01 * np.random.default_rng([seed, arm == "b"]).normal()}


race = Study(
    "race",
    notebook="01_race",
    trial=trial,
    arms=["a", "b"],
    seeds=range(seeds),
    data=DataIdentity(dataset, "checksum", synthetic=False),
    n_test=100,
)
frame = race.run()
"""


class Project:
    """A project with one notebook that runs 16 trials in two processes, and what a run of it needs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        parameters = 'dataset: str = "mine"  # archive; a data set\nseeds: int = 8  # seeds; 1 to 50\n'
        write_notebook(folder / "notebooks" / "01_race.ipynb", RACE, "len(frame)", parameters=parameters)
        head, _, tail = CLAIMS.partition("    - reading: main\n")
        claims = head.replace("01_first", "01_race") + RULE + tail[tail.index("- id: C002") :]
        (folder / "notebooks" / "claims.yaml").write_text(claims)
        (folder / "notebooks" / "profiles").mkdir()
        (folder / "notebooks" / "profiles" / "smoke.yaml").write_text(
            "{name: smoke, description: d, budget: {minutes: 1, memory_gib: 2}}\n"
        )
        images = np.random.default_rng(0).integers(0, 256, (40, 16, 16), np.uint8)
        (folder / "data").mkdir()
        archive = Archive("mine", images, np.arange(40) % 2, ("left", "right"))
        write_archive(archive, folder / "data" / "mine.npz")

    def environment(self, name: str) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith("MEDTL_")}
        return own | {
            "MEDTL_DATA": str(self.folder / "data"),
            "MEDTL_STORE": str(self.store(name)),
            "MEDTL_WORKERS": "2",
            "CUDA_VISIBLE_DEVICES": "",
        }

    def store(self, name: str) -> Path:
        return self.folder / "stores" / name

    def start(self, name: str, *more: str) -> "subprocess.Popen[str]":
        """A run into a folder and a store of its own, as in a terminal of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "medtl_core", "run", "--out", f"runs/{name}", *more],
            cwd=self.folder,
            env=self.environment(name),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def finish(self, name: str, *more: str) -> bytes:
        """The ledger of a run that nobody disturbs."""
        process = self.start(name, *more)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, (out, err)
        state = json.loads((self.folder / "runs" / name / "state" / "01_race.json").read_text())
        assert state["status"] == "done"
        assert list((self.folder / "runs" / name / ".running").iterdir()) == []
        return (self.folder / "runs" / name / "ledger.json").read_bytes()

    def finished_trials(self, name: str) -> int:
        return sum(path.is_file() and ".part-" not in path.name for path in self.store(name).rglob("*.json"))

    def family(self, name: str) -> list[psutil.Process]:
        """Every process that runs for this run: they all have its store in their environment."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("MEDTL_STORE") == str(self.store(name)):
                    found.append(process)
            except psutil.Error:
                continue
        return [process for process in found if process.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return Project(tmp_path_factory.mktemp("campaign"))


@pytest.fixture(scope="module")
def undisturbed(project):
    """The ledger without a disturbance."""
    ledger = project.finish("undisturbed")
    assert json.loads(ledger)[0]["verdict"] == "supported"
    assert project.finished_trials("undisturbed") >= 16
    return ledger


def command_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def member(project: Project, name: str, role: str) -> psutil.Process:
    """The process of a run that has this role, once trials run in processes of their own."""
    marks = {"main": "medtl_core run", "kernel": "runner.kernel_process", "trial": "loky.backend.popen_loky"}
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if 1 <= project.finished_trials(name) < 12:
            found = [process for process in project.family(name) if marks[role] in command_of(process)]
            if found:
                return found[0]
        time.sleep(0.02)
    raise AssertionError([command_of(process) for process in project.family(name)])


def nobody_is_left(project: Project, name: str) -> None:
    """After at most 15 seconds."""
    deadline = time.monotonic() + 15
    while project.family(name) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [(process.pid, command_of(process)) for process in project.family(name)] == []


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
@pytest.mark.parametrize("role", ["main", "kernel", "trial"])
def test_a_run_that_is_disturbed_leaves_nobody_and_loses_nothing(project, undisturbed, role, number):
    name = f"{role}-{number.name}"
    process = project.start(name)
    member(project, name, role).send_signal(number)
    _, err = process.communicate(timeout=90)
    nobody_is_left(project, name)
    assert process.returncode != 0 or role == "trial", err
    if role == "main" and number != signal.SIGKILL:
        assert process.returncode == 130
        assert err.splitlines()[-1].startswith("interrupted; the same command continues")
    assert "\nTraceback" not in err
    assert project.finish(name) == undisturbed


def test_a_closed_terminal_reaches_the_whole_group(project, undisturbed):
    process = project.start("group")
    member(project, "group", "kernel")
    os.killpg(process.pid, signal.SIGHUP)
    process.communicate(timeout=90)
    nobody_is_left(project, "group")
    assert process.returncode == 130
    assert project.finish("group") == undisturbed


@pytest.fixture(scope="module")
def scheduler(project):
    """The address of a Dask scheduler with one worker, which a nanny starts again when it ends."""
    options = ["--no-dashboard", "--host", "127.0.0.1"]
    file = project.folder / "scheduler.json"
    commands = (
        ["scheduler", "--port", "0", "--scheduler-file", str(file), *options],
        ["worker", "--scheduler-file", str(file), "--nworkers", "1", "--nthreads", "1", *options],
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.dask_{command[0]}", *command[1:]],
            env=project.environment("nobody"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for command in commands
    ]
    with Client(scheduler_file=str(file), timeout=60, set_as_default=False) as client:
        client.wait_for_workers(1, timeout=60)
        yield client.scheduler.address
    for process in reversed(processes):
        process.terminate()
        process.wait(timeout=30)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda number: number.name)
def test_a_dask_worker_that_is_ended_leaves_nobody_and_loses_nothing(project, undisturbed, scheduler, number):
    name = f"dask-{number.name}"
    process = project.start(name, "--scheduler", scheduler)
    kernel = member(project, name, "kernel")
    kernel.parent().send_signal(number)
    process.communicate(timeout=120)
    nobody_is_left(project, name)
    assert project.finish(name, "--scheduler", scheduler) == undisturbed
