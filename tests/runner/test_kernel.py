"""One notebook in one kernel, called as a plain function."""

import os
import subprocess
import sys
import threading
import time

import nbformat
import psutil
import pytest
from mini_project import write_notebook

from medtl_core.runner import page
from medtl_core.runner.kernel import run_notebook
from medtl_core.runner.task import KernelTask

# Each stays for an hour unless somebody ends it: one in the kernel's group, one in a session of its own.
CHILDREN = """\
import os, pathlib, subprocess, sys
command = [sys.executable, "-c", "import time; time.sleep(3600)"]
children = [subprocess.Popen(command), subprocess.Popen(command, start_new_session=True)]
pathlib.Path("pids").write_text(" ".join(str(p) for p in [os.getpid(), *(c.pid for c in children)]))
"""
SHOWN = """\
import os, sys
print(sys.flags.optimize, os.environ.get("MPLBACKEND"), os.environ.get("PYTHONPATH"), "SHADOWED" in globals())
"""


def task(folder, *cells, **more):
    source = write_notebook(folder / "notebooks" / "01_a.ipynb", *cells)
    (folder / "out").mkdir(exist_ok=True)
    given = {"parameters": {"dataset": "phantoms", "seeds": 3}, "env": {}, "timeout": 60} | more
    return KernelTask("01_a", source, folder / "out" / "01_a.ipynb", folder / "scratch", **given)


def run(found, cancelled=lambda: False):
    counted = []
    return run_notebook(found, lambda *numbers: counted.append(numbers), cancelled), counted


def printed(found):
    cells = nbformat.read(found.executed, as_version=4).cells
    return "".join(o.text for c in cells if c.cell_type == "code" for o in c.outputs if "text" in o)


def pids(folder):
    return [int(pid) for pid in (folder / "notebooks" / "pids").read_text().split()]


def alive(numbers):
    return [n for n in numbers if psutil.pid_exists(n) and psutil.Process(n).status() != "zombie"]


def test_a_notebook_runs_without_a_cluster(tmp_path):
    found = task(tmp_path, "print(seeds, dataset)")
    outcome, counted = run(found)
    assert (outcome.status, outcome.error, outcome.no_page) == ("done", None, None)
    assert printed(found) == "3 phantoms\n"
    assert counted == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert found.executed.with_suffix(".html").is_file()


@pytest.mark.slow
def test_no_dask_where_there_is_no_scheduler(tmp_path):
    code = (
        "import sys\n"
        "from medtl_core.runner import kernel, execute, run\n"
        "run.describe('cpu'); run.cores()\n"
        "assert not {'dask', 'distributed'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_folder_with_braces_is_a_folder(tmp_path):
    found = task(tmp_path / "{x}", "1")
    assert run(found)[0].status == "done"


@pytest.mark.slow
@pytest.mark.parametrize("end", ["1", "raise ValueError", "os._exit(9)"])
def test_nothing_that_a_kernel_started_outlives_it(tmp_path, end):
    run(task(tmp_path, CHILDREN, "import time\ntime.sleep(2.5)", end))
    assert len(pids(tmp_path)) == 3
    assert alive(pids(tmp_path)) == []


@pytest.mark.slow
def test_a_cancelled_notebook_is_stopped_with_all_that_it_started(tmp_path):
    cancelled = threading.Event()
    found = task(tmp_path, CHILDREN, "import time\ntime.sleep(600)", timeout=300)

    def cancel():
        while not (tmp_path / "notebooks" / "pids").exists():
            time.sleep(0.05)
        time.sleep(0.5)
        cancelled.set()

    thread = threading.Thread(target=cancel)
    thread.start()
    started = time.monotonic()
    outcome, _ = run(found, cancelled.is_set)
    thread.join()
    assert outcome.status == "interrupted"
    assert time.monotonic() - started < 60
    assert alive(pids(tmp_path)) == []


@pytest.mark.slow
def test_what_a_user_has_set_for_other_programs_does_not_reach_a_notebook(tmp_path, monkeypatch):
    profile = tmp_path / "ipython" / "profile_default" / "startup"
    profile.mkdir(parents=True)
    (profile / "00.py").write_text("SHADOWED = True\n")
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "ipykernel.py").write_text("raise RuntimeError('not this one')\n")
    (tmp_path / "startup.py").write_text("SHADOWED = True\n")
    own = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "modules"), *own.split(os.pathsep)]))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("PYTHONSTARTUP", str(tmp_path / "startup.py"))
    monkeypatch.setenv("PYTHONOPTIMIZE", "1")
    monkeypatch.setenv("MPLBACKEND", "Agg")
    found = task(tmp_path, SHOWN, "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()")
    assert run(found)[0].status == "done"
    optimised, _, path, shadowed = printed(found).split(maxsplit=3)
    assert (optimised, shadowed.strip()) == ("0", "False")
    assert str(tmp_path) not in path
    cells = nbformat.read(found.executed, as_version=4).cells
    assert "image/png" in cells[-1].outputs[0].data


def test_a_kernel_that_cannot_start_says_why(tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "ipykernel.py").write_text("raise SystemError('not this one')\n")
    found = task(tmp_path, "1", env={"PYTHONPATH": f"{tmp_path / 'broken'}{os.pathsep}{os.getcwd()}"})
    outcome, _ = run(found)
    assert (outcome.status, outcome.error["cell"]) == ("failed", 0)
    assert outcome.error["traceback"][-1] == "SystemError: not this one"


def test_a_page_that_cannot_be_made_does_not_decide_the_status(tmp_path, monkeypatch):
    def fail(*arguments):
        raise ValueError("No template sub-directory with name 'lab'\nfound")

    monkeypatch.setattr(page.HTMLExporter, "from_notebook_node", fail)
    found = task(tmp_path, "print(seeds)")
    outcome, _ = run(found)
    assert (outcome.status, outcome.cells, outcome.total) == ("done", 3, 3)
    assert outcome.no_page == "ValueError: No template sub-directory with name 'lab' found"
    assert printed(found) == "3\n"
    assert not found.executed.with_suffix(".html").exists()
