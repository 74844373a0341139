"""A lesson runs by plain papermill from any folder, without the command line and without a variable set."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow


def test_the_project_is_found_from_a_folder_that_knows_nothing_of_it(tmp_path, monkeypatch):
    """A notebook with the first cells of a lesson: its statements, its data, its device."""
    import papermill

    for name in [name for name in os.environ if name.startswith("MEDTL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MEDTL_OUT", str(tmp_path / "out"))
    monkeypatch.chdir(tmp_path)
    cells = [
        "from medtl_core.reporting.verdict_tables import notebook_verdicts, statements_table\n"
        "assert len(statements_table('00_orientation')) > 5\n"
        "assert len(notebook_verdicts('00_orientation')) > 5",
        "from medtl_core import settings\nprint(settings.project_root())",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, tmp_path / "lesson.ipynb")
    done = papermill.execute_notebook("lesson.ipynb", "done.ipynb", kernel_name="python3", progress_bar=False)
    assert done.cells[-1].outputs[0]["text"].strip() == str(REPOSITORY)


def test_the_command_works_from_any_folder(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MEDTL_")}
    command = [sys.executable, "-m", "medtl_core", "ledger", "results/teach-cpu"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "C006" in done.stdout
