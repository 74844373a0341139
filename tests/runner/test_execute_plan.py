import json
import sys
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from mini_project import write_notebook

from medtl_core.errors import MedtlError
from medtl_core.runner import execute, worker
from medtl_core.runner.environment import cores
from medtl_core.runner.notebooks import choose
from medtl_core.runner.plan import InputCatalogue, plan_runs
from medtl_core.runner.profiles import Profile
from medtl_core.runner.run import RunSettings, execute_plan
from medtl_core.runner.task import Outcome

ENVIRONMENT = """\
import json, os, sys
names = "OMP_NUM_THREADS MEDTL_STORE MEDTL_PROFILE MEDTL_DEVICE NO_ALBUMENTATIONS_UPDATE".split()
found = {n: os.environ.get(n) for n in names}
print(json.dumps(found | {"python": sys.executable, "cwd": os.getcwd(), "seeds": seeds}))
"""
RECORD = """\
import pathlib
folder = pathlib.Path(os.environ["MEDTL_OUT"]) / "records" / "01_good" / "study"
folder.mkdir(parents=True)
_ = (folder / "k.jsonl").write_text(dataset)
"""
MEMORY = "import time\nballast = bytearray(200 * 2**20)\ntime.sleep(2.5)"


def settings(folder, **more):
    return RunSettings(
        profile="smoke", out=folder / "runs" / "x", store=folder / "trials", device="cpu", **more
    )


def planned(folder, **given):
    profile = Profile.model_validate(
        {"name": "smoke", "description": "d", "budget": {"minutes": 1, "memory_gib": 0.15}}
    )
    catalogue = InputCatalogue(lambda notebook, values: {values["dataset"]: "checksum"}, lambda: [])
    return plan_runs(choose(folder, []), profile, given, catalogue, {"torch": "2"}, pytest.fail)


def allow(runs):
    """A check that refuses nothing."""


def unaudited(run):
    """Verdicts on no data set."""
    return {}


# The mark of a parameter is that of every test which uses the fixture.
@pytest.fixture(scope="module", params=[pytest.param("two workers", marks=pytest.mark.slow)])
def finished(tmp_path_factory):
    """Four mini notebooks after one run on two workers: the folder and the states by label."""
    folder = tmp_path_factory.mktemp("project")
    notebooks = folder / "notebooks"
    write_notebook(notebooks / "01_good.ipynb", ENVIRONMENT, RECORD, MEMORY)
    write_notebook(notebooks / "02_raises.ipynb", "done = 1", "1 / 0", "never = 2")
    write_notebook(notebooks / "03_slow.ipynb", "import time", "time.sleep(600)", "never = 2")
    write_notebook(notebooks / "04_dies.ipynb", "import os\nos.write(2, b'last words')\nos._exit(9)")
    plan = planned(folder, seeds="5")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MEDTL_STORE", raising=False)
        others = [run for run in plan if run.label != "03_slow"]
        states = execute_plan(others, settings(folder, workers=2, timeout=120), pytest.fail, allow, unaudited)
        states += execute_plan(
            only(plan, "03_slow"), settings(folder, timeout=3), pytest.fail, allow, unaudited
        )
    return folder, {state.label: state for state in states}


def outputs(folder, label):
    notebook = nbformat.read(folder / "runs" / "x" / "notebooks" / f"{label}.ipynb", as_version=4)
    return [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]


def test_a_good_notebook_is_done(finished):
    _, states = finished
    state = states["01_good"]
    assert (state.status, state.cells, state.total, state.error) == ("done", 5, 5, None)
    assert state.parameters == {"dataset": "phantoms", "seeds": 5}
    assert state.data == {"phantoms": "checksum"}


def test_all_parameters_are_injected_those_that_keep_their_defaults_too(finished):
    folder, _ = finished
    notebook = nbformat.read(folder / "runs" / "x" / "notebooks" / "01_good.ipynb", as_version=4)
    (injected,) = [c.source for c in notebook.cells if "injected-parameters" in c.metadata.tags]
    assert injected.splitlines()[1:] == ['dataset = "phantoms"', "seeds = 5"]


def test_the_kernel_is_this_interpreter_with_its_share_of_threads(finished):
    folder, _ = finished
    # cells: parameters, injected parameters, environment
    found = json.loads(outputs(folder, "01_good")[2][0].text)
    assert found["python"] == sys.executable
    assert found["seeds"] == 5
    assert found["cwd"] == str(folder / "notebooks")
    assert found["OMP_NUM_THREADS"] == str(max(1, cores() // 2))
    assert found["MEDTL_STORE"] == str(folder / "trials")
    assert (found["MEDTL_PROFILE"], found["MEDTL_DEVICE"]) == ("smoke", "cpu")
    assert found["NO_ALBUMENTATIONS_UPDATE"] == "1"


def test_records_are_published(finished):
    folder, states = finished
    assert states["01_good"].files == ["records/01_good/study/k.jsonl"]
    assert (folder / "runs" / "x" / "records" / "01_good" / "study" / "k.jsonl").read_text() == "phantoms"
    assert list((folder / "runs" / "x" / ".running").iterdir()) == []


def test_memory_is_measured_against_the_budget(finished):
    _, states = finished
    assert states["01_good"].peak_memory > 200 * 2**20
    assert states["01_good"].over_budget == ["memory"]
    assert states["02_raises"].over_budget == []


def test_a_failing_notebook_keeps_its_outputs_and_traceback(finished):
    folder, states = finished
    error = states["02_raises"].error
    assert (states["02_raises"].status, error["name"], error["cell"]) == ("failed", "ZeroDivisionError", 4)
    assert error["traceback"][-1] == "ZeroDivisionError: division by zero"
    assert not [line for line in error["traceback"] if "\x1b" in line]
    *_, failing, never = outputs(folder, "02_raises")
    assert failing[0].ename == "ZeroDivisionError"
    assert never == []


def test_a_cell_that_takes_too_long_fails(finished):
    _, states = finished
    error = states["03_slow"].error
    assert (states["03_slow"].status, error["name"], error["cell"]) == ("failed", "CellTimeoutError", 4)
    assert error["message"] == "took longer than 3 s"
    assert states["03_slow"].seconds < 300


def test_a_kernel_that_dies_is_told_with_its_last_words(finished):
    _, states = finished
    error = states["04_dies"].error
    assert (states["04_dies"].status, error["name"]) == ("failed", "DeadKernelError")
    assert error["traceback"][-1] == "last words"


def test_executed_notebooks_become_pages_and_name_no_paths_of_the_machine(finished):
    folder, states = finished
    for label in states:
        assert (folder / "runs" / "x" / "notebooks" / f"{label}.html").stat().st_size > 10_000
        notebook = nbformat.read(folder / "runs" / "x" / "notebooks" / f"{label}.ipynb", as_version=4)
        assert notebook.metadata.papermill.input_path == f"{label}.ipynb"
        assert str(folder) not in json.dumps(notebook.metadata)


def test_environment_is_kept_without_names_of_places(finished):
    folder, _ = finished
    text = (folder / "runs" / "x" / "environment.json").read_text()
    environment = json.loads(text)
    assert environment["cores"] >= 1
    assert environment["versions"]["numpy"]
    state = json.loads((folder / "runs" / "x" / "state" / "01_good.json").read_text())
    assert {name: environment[name] for name in ("commit", "dirty", "package")} == {
        name: state[name] for name in ("commit", "dirty", "package")
    }
    assert len(environment["package"]) == 64
    assert not [name for name in (Path.home().name, str(folder), "/") if f'"{name}' in text]


def only(plan, label):
    return [run for run in plan if run.label == label]


def test_what_is_done_is_skipped_and_said(finished, monkeypatch):
    folder, states = finished
    monkeypatch.setattr(execute, "run_tasks", pytest.fail)
    said = []
    plan = only(planned(folder, seeds="5"), "01_good")
    (state,) = execute_plan(plan, settings(folder), said.append, pytest.fail, unaudited)
    assert state == replace(states["01_good"], skipped=True)
    seconds = f"{states['01_good'].seconds:.0f}"
    assert said == [
        f"01_good: already done (same notebook, parameters, code, data), {seconds} s in its first run"
    ]


def stand_in(outcome, seen):
    """Stands in for the workers: notes the tasks and ends each with `outcome`."""

    def run_tasks(tasks, *, on_outcome, **more):
        seen.extend(tasks)
        for task in tasks:
            task.executed.write_text("{}")
            on_outcome(task.label, outcome)

    return run_tasks


@pytest.fixture
def mini(tmp_path):
    write_notebook(tmp_path / "notebooks" / "01_a.ipynb", "1")
    write_notebook(tmp_path / "notebooks" / "02_b.ipynb", "1")
    return tmp_path


@pytest.mark.parametrize("change", ["fresh", "parameter", "cell", "failed"])
def test_what_changed_or_failed_runs_again(mini, monkeypatch, change):
    seen = []
    first = Outcome("failed" if change == "failed" else "done", 1.0, 0, 1, 1)
    monkeypatch.setattr(execute, "run_tasks", stand_in(first, seen))
    execute_plan(planned(mini), settings(mini), pytest.fail, allow, unaudited)
    assert [task.label for task in seen] == ["01_a", "02_b"]
    seen.clear()
    if change == "cell":
        write_notebook(mini / "notebooks" / "01_a.ipynb", "2")
    plan = planned(mini, seeds="4") if change == "parameter" else planned(mini)
    said = []
    execute_plan(plan, settings(mini, fresh=change == "fresh"), said.append, allow, unaudited)
    assert [task.label for task in seen] == (["01_a"] if change == "cell" else ["01_a", "02_b"])
    assert len(said) == (1 if change == "cell" else 0)


def test_time_is_measured_against_the_budget(mini, monkeypatch):
    monkeypatch.setattr(execute, "run_tasks", stand_in(Outcome("done", 60.1, 0, 1, 1), []))
    states = execute_plan(planned(mini), settings(mini), pytest.fail, allow, unaudited)
    assert [state.over_budget for state in states] == [["time"], ["time"]]


def test_a_run_keeps_the_verdicts_on_its_data_sets(mini, monkeypatch):
    monkeypatch.setattr(execute, "run_tasks", stand_in(Outcome("done", 1.0, 0, 1, 1), []))
    audits = {"phantoms": {"word": "clean", "why": ""}}

    def audit(run):
        return audits if run.label == "01_a" else {}

    states = execute_plan(planned(mini), settings(mini), pytest.fail, allow, audit)
    assert [state.audits for state in states] == [audits, {}]
    kept = json.loads((mini / "runs" / "x" / "state" / "01_a.json").read_text())
    assert kept["audits"] == audits
    again = execute_plan(planned(mini), settings(mini), lambda line: None, pytest.fail, pytest.fail)
    assert [state.audits for state in again] == [audits, {}]


def test_an_interrupted_run_continues(mini, monkeypatch):
    def interrupted(tasks, *, on_outcome, **more):
        tasks[0].executed.write_text("{}")
        on_outcome(tasks[0].label, Outcome("done", 1.0, 0, 1, 1))
        raise KeyboardInterrupt

    monkeypatch.setattr(execute, "run_tasks", interrupted)
    with pytest.raises(KeyboardInterrupt):
        execute_plan(planned(mini), settings(mini), pytest.fail, allow, unaudited)
    state = json.loads((mini / "runs" / "x" / "state" / "02_b.json").read_text())
    assert state["status"] == "interrupted"
    assert list((mini / "runs" / "x" / ".running").iterdir()) == []
    seen = []
    monkeypatch.setattr(execute, "run_tasks", stand_in(Outcome("done", 1.0, 0, 1, 1), seen))
    states = execute_plan(planned(mini), settings(mini), lambda line: None, allow, unaudited)
    assert [task.label for task in seen] == ["02_b"]
    assert [state.skipped for state in states] == [True, False]


def test_what_a_check_refuses_leaves_nothing_behind(mini):
    def refuse(runs):
        raise MedtlError("no weights")

    with pytest.raises(MedtlError, match="no weights"):
        execute_plan(planned(mini), settings(mini), pytest.fail, refuse, unaudited)
    assert not (mini / "runs").exists()


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense"])
def test_a_scheduler_that_does_not_answer_is_one_line(mini, monkeypatch, address):
    monkeypatch.setattr(worker, "SECONDS_TO_CONNECT", 0.5)
    with pytest.raises(MedtlError, match="no Dask scheduler answers") as caught:
        execute_plan(planned(mini), settings(mini, scheduler=address), pytest.fail, allow, unaudited)
    assert "\n" not in str(caught.value)
    assert not (mini / "runs").exists()


def test_a_scheduler_that_is_lost_meanwhile_is_a_failure_with_its_cause():
    class Lost:
        def result(self):
            raise CancelledError("connection lost")

    outcome = execute.outcome_of(Lost(), "01_a")
    assert (outcome.status, outcome.error["message"]) == ("failed", "connection lost")


def test_an_error_outside_of_cells_keeps_its_cause():
    with ThreadPoolExecutor() as pool:
        outcome = execute.outcome_of(pool.submit(int, "x"), "01_a")
        assert (outcome.status, outcome.error["name"]) == ("failed", "ValueError")
        assert outcome.error["traceback"][-1].startswith("ValueError: invalid literal")


def test_a_worker_that_cannot_write_is_one_line(mini):
    class Lost:
        def result(self):
            raise OSError(28, "No space left on device", str(mini / "01_a.ipynb"))

    with pytest.raises(MedtlError, match=r"01_a: 01_a\.ipynb: No space left on device; free space"):
        execute.outcome_of(Lost(), "01_a")
