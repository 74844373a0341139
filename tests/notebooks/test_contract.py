"""Every notebook keeps the contract: its two forms in step, the order of its parts, its size, its outputs."""

import ast
import re
from pathlib import Path

import jupytext
import nbformat
import pytest

from medtl_core.runner.notebooks import read_notebook
from medtl_core.runner.profiles import read_profile

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def notebook(name):
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def test_every_notebook_has_both_forms():
    for folder in (FOLDER, FOLDER.parent / "studies"):
        forms = [{path.stem for path in folder.glob(f"*.{end}")} for end in ("py", "ipynb")]
        assert forms[0] == forms[1]


def sources(notebook):
    return [(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in notebook.cells]


def test_the_pair_is_in_step(name, notebook):
    assert sources(notebook) == sources(jupytext.read(FOLDER / f"{name}.py"))


def outputs_of(notebook):
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def test_committed_with_outputs_and_without_errors(notebook):
    outputs = outputs_of(notebook)
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not [output for output in outputs if output.output_type == "error"]


def test_no_warning_and_no_progress_bar_is_committed(notebook):
    assert not [output.text for output in outputs_of(notebook) if output.get("name") == "stderr"]


def test_nothing_is_shown_by_its_name_in_memory(notebook):
    for output in outputs_of(notebook):
        data = output.get("data", {})
        if re.match(r"<.*( at 0x|Figure|Axes)", data.get("text/plain", "")):
            assert {"image/png", "image/svg+xml", "text/html", "text/markdown"} & set(data)


def test_no_cell_of_a_table_is_cut_off(notebook):
    assert not [o for o in outputs_of(notebook) if "...</td>" in o.get("data", {}).get("text/html", "")]


def test_the_set_up_is_a_handful_of_imports(notebook):
    """At most eight import statements in any cell."""
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    counts = [
        sum(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.parse(source).body)
        for source in code
    ]
    assert max(counts) <= 8


def test_the_file_is_small_enough_for_a_repository(name):
    assert (FOLDER / f"{name}.ipynb").stat().st_size < 2_000_000


def test_outputs_name_no_path_of_a_machine(name):
    text = (FOLDER / f"{name}.ipynb").read_text(encoding="utf-8")
    assert not re.search(r"/(home|root|work|Users|tmp)/[A-Za-z]", text)


def test_parameters_are_declared_with_types_and_ranges(name):
    read = read_notebook(FOLDER / f"{name}.ipynb")
    assert "dataset" in read.parameters.names
    assert "seeds" in read.parameters.names


def test_size_is_that_of_a_lesson(notebook):
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    words = sum(len(cell.source.split()) for cell in notebook.cells if cell.cell_type == "markdown")
    assert 30 <= len(code) <= 45
    assert 3000 <= words <= 4500


def test_headings_come_in_the_order_of_the_contract(notebook):
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    headings = re.findall(r"^##? .*$", prose, flags=re.MULTILINE)
    expected = "Parameters; Set-up; The data; Verdicts; What this does not show; Exercises; References"
    places = [headings.index(f"## {heading}") for heading in expected.split("; ")]
    assert headings[0].startswith("# ")
    assert places == sorted(places)


def test_each_exercise_has_a_check_and_a_solution(notebook):
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    exercises = len(re.findall(r"^\*\*\d\. ", prose, flags=re.MULTILINE))
    solutions = [cell for cell in notebook.cells if "solution" in cell.metadata.get("tags", [])]
    printed = ["".join(o.get("text", "") for o in cell.outputs) for cell in solutions]
    assert 3 <= exercises <= 5
    assert len(solutions) == exercises
    assert all(f"exercise {i}: correct" in text for i, text in enumerate(printed, 1))


def test_no_cell_installs_downloads_or_changes_directory(notebook):
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        called = {node.func for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Call)}
        names = {ast.unparse(function) for function in called}
        assert not names & {"os.chdir", "subprocess.run", "os.system", "registry.fetch"}
        assert not re.search(r"^[!%]", cell.source, flags=re.MULTILINE)


def test_the_rehearsal_leaves_no_study_out(name):
    source = ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))
    known = [
        ast.literal_eval(node.value)
        for node in source.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "STUDIES"
    ]
    rehearsed = read_profile(FOLDER / "profiles", "rehearsal").plan(name).parameters
    assert known == [rehearsed[key] for key in rehearsed if key == "studies"]
