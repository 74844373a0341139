"""`medtl run` as a user starts it: its output, its exit status, and what it leaves."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from mini_project import DEFAULTS, write_notebook

from medtl_core.cli import app as cli
from medtl_core.cli import run as cli_run
from medtl_core.cli.summary import NEXT, show_run
from medtl_core.data.sources import preflight
from medtl_core.errors import MedtlError
from medtl_core.evidence.run_state import RunState

COMMAND = [sys.executable, "-c", "from medtl_core.cli.app import main; main()"]


@pytest.fixture(autouse=True)
def without_data(monkeypatch, tmp_path):
    for name in ("MEDTL_DATA", "MEDTL_WEIGHTS", "MEDTL_STORE", "MEDTL_DEVICE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MEDTL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    preflight.examined.cache_clear()


@pytest.fixture
def medtl(monkeypatch, capfd):
    """Calls the command in this process: exit status, stdout, stderr."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["medtl", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            cli.main()
        return left.value.code, *capfd.readouterr()

    return call


def refused(medtl, folder, *arguments):
    """The one line of stderr of a command that is refused; nothing was run or written."""
    status, out, err = medtl(*arguments)
    assert (status, out, err.count("\n")) == (2, "", 1), (status, out, err)
    assert not (folder / "runs").exists()
    return err


@pytest.mark.slow
def test_a_run_ends_with_verdicts_and_the_report_and_is_not_done_twice(project, medtl):
    status, out, err = medtl("run", "--workers", 2)
    report = project / "runs" / "smoke-cpu" / "report.html"
    assert status == 0, err
    assert out.splitlines()[-2:] == [f"Report: {report}", NEXT]
    assert "Identities met: 1 of 1" in out
    assert "Data sets, as their audit found them\n  phantoms: clean\n" in out
    assert "No reference run is kept yet" in out
    assert "01_first 4/4 cells" in err.splitlines()
    assert report.is_file()
    rows = json.loads((project / "runs" / "smoke-cpu" / "ledger.json").read_text())
    assert [row["verdict"] for row in rows] == ["demonstrated", "pending"]

    assert medtl("ledger")[1].endswith("\nData sets, as their audit found them\n  phantoms: clean\n")

    status, out, err = medtl("run", "--json")
    answer = json.loads(out)
    assert answer["runs"][0]["audits"] == {"phantoms": {"word": "clean", "why": ""}}
    assert status == 0
    assert [run["skipped"] for run in answer["runs"]] == [True, True]
    assert [line.split(", ")[0] for line in err.splitlines()] == [
        "01_first: already done (same notebook",
        "02_second: already done (same notebook",
    ]
    assert answer["report"] == str(report)


def state(status="done", **error):
    return RunState(
        "01_first",
        "01_first",
        status,
        "key",
        [],
        cells=1,
        total=3,
        seconds=90.0,
        peak_memory=3 * 2**30,
        budget={"minutes": 1, "memory_gib": 2},
        over_budget=["time", "memory"],
        error={"cell": 2, "traceback": ["in cell 2"]} | error if error else None,
        no_page="ValueError: no template",
    )


def test_the_summary_of_a_failure(project, capsys):
    (project / "out").mkdir()
    failed = state("failed", name="ZeroDivisionError", message="division by\x1b]0; zero")
    assert show_run([state(), failed], project / "out", as_json=False) == 1
    out, err = capsys.readouterr()
    assert out.startswith("01_first: cell 2: ZeroDivisionError: division by\\x1b]0; zero\n    in cell 2\n")
    assert out.splitlines()[-2:] == [f"Report: {project / 'out' / 'report.html'}", NEXT]
    assert err.splitlines()[:3] == [
        "warning: 01_first took 1.5 minutes, its budget is 1",
        "warning: 01_first took 3.0 GiB, its budget is 2",
        "warning: 01_first has no HTML page (ValueError: no template)",
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [("MedtlError", "x.npz: no images"), ("OSError", "[Errno 28] No space left on device")],
)
def test_bad_input_that_shows_inside_a_notebook_is_bad_input(project, name, message):
    (project / "out").mkdir()
    bad = state("failed", name=name, message=message)
    with pytest.raises(MedtlError) as refusal:
        show_run([state(), bad], project / "out", as_json=False)
    assert str(refusal.value) == f"01_first: {message}"
    other = state("failed", name="ValueError", message="x")
    assert show_run([bad, other], project / "out", as_json=False) == 1


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["03_third"], "unknown notebook '03_third'"),
        (["--profile", "small"], "unknown profile 'small'"),
        (
            ["-p", "epochs=3"],
            "-p epochs: unknown parameter of 01_first, 02_second; declared there: dataset, seeds",
        ),
        (["-p", "seeds=many"], "parameter seeds of 01_first is 'many', expected a whole number, 1 to 50"),
        (["-p", "seeds=0"], "parameter seeds of 01_first is '0'"),
        (["-p", "seeds"], "-p seeds: expected key=value"),
        (["-p", "dataset=absent"], "data set 'absent'"),
        (["--workers", "0"], "--workers"),
        (["--color"], "--color"),
        (["--out", "file/x"], "file/x: cannot be written"),
        (["--out", ""], "--out: found empty text"),
        (["--out", "."], "holds the project itself"),
        (["--out", "notebooks"], "lies in the project's notebooks/"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(project, medtl, arguments, found):
    (project / "file").touch()
    assert found in refused(medtl, project, "run", *arguments)


def test_a_profile_for_a_gpu_is_refused_without_one(project, medtl, monkeypatch):
    (project / "notebooks" / "profiles" / "big.yaml").write_text(
        "{name: big, description: d, needs_gpu: true, budget: {minutes: 1, memory_gib: 2}}\n"
    )
    assert "profile big needs a GPU" in refused(medtl, project, "run", "--profile", "big")
    allowed = ["run", "--profile", "big", "--allow-cpu", "-p", "dataset=absent"]
    assert "data set 'absent'" in refused(medtl, project, *allowed)
    monkeypatch.setenv("MEDTL_DEVICE", "cuda")
    assert "MEDTL_DEVICE is cuda and there is no GPU" in refused(medtl, project, "run")
    monkeypatch.setenv("MEDTL_DEVICE", "tpu")
    assert "MEDTL_DEVICE is 'tpu'" in refused(medtl, project, "run")


def test_a_broken_archive_is_refused_before_a_kernel_starts(project, medtl, tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine.npz").write_bytes(b"PK\x03\x04 cut short")
    monkeypatch.setenv("MEDTL_DATA", str(tmp_path / "data"))
    assert "mine.npz" in refused(medtl, project, "run", "-p", "dataset=mine")


@pytest.mark.slow
def test_more_training_images_than_there_are_are_refused_before_a_kernel_starts(project, medtl):
    parameters = DEFAULTS + "train_sizes: list[int] = [8]  # training images; at least 2\n"
    write_notebook(project / "notebooks" / "01_first.ipynb", "1", parameters=parameters)
    err = refused(medtl, project, "run", "01_first", "-p", "train_sizes=8,1000000")
    assert "phantoms: found 1200 training images" in err


def test_weights_that_cannot_be_had_are_refused_before_a_kernel_starts(project, medtl, tmp_path, monkeypatch):
    parameters = 'backbone: str = "mobilenetv2_100"  # timm name; a network\n'
    write_notebook(project / "notebooks" / "01_first.ipynb", "1", parameters=parameters)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "mobilenetv2_100.safetensors").write_bytes(b"no weights")
    monkeypatch.setenv("MEDTL_WEIGHTS", str(tmp_path / "weights"))
    assert "mobilenetv2_100" in refused(medtl, project, "run", "01_first")


@pytest.mark.slow
@pytest.mark.parametrize("role", ["related", "unrelated"])
def test_a_source_that_is_missing_is_refused_before_a_kernel_starts(project, medtl, role):
    parameters = DEFAULTS + f'{role}: str = "phantoms"  # to pretrain on; a source\n'
    write_notebook(project / "notebooks" / "01_first.ipynb", "1", parameters=parameters)
    assert "data set 'nowhere'" in refused(medtl, project, "run", "01_first", "-p", f"{role}=nowhere:here")
    shown = refused(medtl, project, "run", "01_first", "-p", f"{role}=phantoms_shift:mars")
    assert "mars" in shown


@pytest.mark.slow
@pytest.mark.parametrize("tag", ["", "own-splits"])
def test_a_published_split_that_leaks_is_refused_unless_the_notebook_makes_its_own(project, medtl, tag):
    path = write_notebook(project / "notebooks" / "01_first.ipynb", "1")
    content = json.loads(path.read_text())
    content["cells"][1]["metadata"]["tags"] += [tag]
    path.write_text(json.dumps(content))
    if tag:
        assert medtl("run", "01_first", "-p", "dataset=phantoms_leaky")[0] == 0
    else:
        found = refused(medtl, project, "run", "01_first", "-p", "dataset=phantoms_leaky")
        assert "in two splits" in found


@pytest.mark.slow
def test_from_any_folder_the_packages_own_notebooks_are_found(tmp_path, medtl, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, err = medtl("notebooks")
    assert (status, err) == (0, "")
    assert "00_orientation" in out


def test_where_there_is_no_project_one_line_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("medtl_core.settings.PACKAGE", tmp_path)
    with pytest.raises(MedtlError, match=r"no notebooks/claims\.yaml here or above"):
        cli_run.project_folder()


@pytest.mark.slow
def test_ctrl_c_stops_the_kernels_and_the_next_run_continues(project, medtl):
    write_notebook(
        project / "notebooks" / "02_second.ipynb",
        "import pathlib, time",
        "while not pathlib.Path('go').exists():\n    time.sleep(0.1)",
    )
    process = subprocess.Popen(
        [*COMMAND, "run"],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    done = project / "runs" / "smoke-cpu" / "state" / "01_first.json"
    executed = project / "runs" / "smoke-cpu" / "notebooks" / "02_second.ipynb"
    wait_for(lambda: done.is_file() and json.loads(done.read_text())["status"] == "done", process)
    wait_for(lambda: executed.is_file() and '"status": "running"' in executed.read_text(), process)
    family = psutil.Process(process.pid).children(recursive=True)
    assert len([p for p in family if "medtl_core.runner.kernel_process" in " ".join(p.cmdline())]) == 1
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all processes of the command
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1].startswith("interrupted; the same command continues")
    assert "Traceback" not in err
    assert psutil.wait_procs(family, timeout=5)[1] == []
    assert json.loads(done.with_name("02_second.json").read_text())["status"] == "interrupted"

    (project / "notebooks" / "go").touch()
    status, out, err = medtl("run")
    assert status == 0, err
    assert "01_first: already done" in out
    assert "02_second: already done" not in out


def wait_for(condition, process, seconds=90):
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
