import base64
import io

import nbformat
import pytest
from PIL import Image

from medtl_core.runner import build as builder

HEAD = """\
# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

"""
CELLS = """\
# %% [markdown]
# # A lesson

# %% tags=["parameters"]
seeds: int = 3  # seeds; 1 to 50

# %%
import os, sys, warnings

import ipywidgets
from IPython.display import display
import tqdm
import tqdm.auto

for step in tqdm.tqdm(range(3)):
    print(step)
list(tqdm.auto.tqdm([1]))
warnings.warn("look here")
display(ipywidgets.IntProgress(2))

# %%
print(os.environ.get("MEDTL_DATA"), os.environ.get("MEDTL_WORKERS"), sys.flags.optimize)
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    folder = tmp_path / "notebooks"
    folder.mkdir()
    (folder / "claims.yaml").write_text("[]\n")
    (folder / "01_first.py").write_text(HEAD + CELLS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(project, name="01_first"):
    return nbformat.read(project / "notebooks" / f"{name}.ipynb", as_version=4)


@pytest.mark.slow
def test_a_lesson_holds_its_results_and_nothing_of_the_machine(project, monkeypatch, capsys):
    monkeypatch.setenv("MEDTL_DATA", "/somewhere")
    monkeypatch.setenv("MEDTL_WORKERS", "2")
    monkeypatch.setenv("PYTHONOPTIMIZE", "1")
    assert builder.main(["01_first"]) == 0
    out, err = capsys.readouterr()
    assert out == "notebooks/01_first.ipynb\n"
    assert any("01_first: cell 2: " in line and "look here" in line for line in err.splitlines())
    assert "100%" not in err
    notebook = read(project)
    _, _, loop, last = notebook.cells
    (stream,) = loop.outputs
    assert (stream.name, stream.text) == ("stdout", "0\n1\n2\n")
    assert last.outputs[0].text == "None None 0\n"
    assert [cell.execution_count for cell in notebook.cells[1:]] == [1, 2, 3]
    assert all("execution" not in cell.metadata for cell in notebook.cells)
    assert notebook.cells[1].metadata.tags == ["parameters"]
    assert "widgets" not in notebook.metadata
    assert "version" not in notebook.metadata.language_info

    ids = [cell.id for cell in notebook.cells]
    before = (project / "notebooks" / "01_first.ipynb").read_bytes()
    assert builder.main([]) == 0
    assert (project / "notebooks" / "01_first.ipynb").read_bytes() == before

    source = (project / "notebooks" / "01_first.py").read_text()
    (project / "notebooks" / "01_first.py").write_text(source + "\n# %%\n1 / 0\n")
    assert builder.main(["01_first"]) == 2
    err = capsys.readouterr().err
    assert "code cell 4 failed" in err
    assert "ZeroDivisionError" in err
    assert [cell.id for cell in read(project).cells] == ids


def test_a_study_is_built_too(project, capsys):
    (project / "studies").mkdir()
    (project / "studies" / "mine.py").write_text(HEAD + "# %%\n2 + 3\n")
    assert builder.main(["mine"]) == 0
    assert capsys.readouterr().out == "studies/mine.ipynb\n"
    built = nbformat.read(project / "studies" / "mine.ipynb", as_version=4)
    assert built.cells[0].outputs[0].data["text/plain"] == "5"


def test_an_unknown_name_is_one_line(project, capsys):
    assert builder.main(["02_second"]) == 2
    assert (
        capsys.readouterr().err == f"medtl: unknown notebook '02_second' in {project}; there are: 01_first\n"
    )


def test_the_still_picture_of_a_widget_stays_and_a_widget_alone_goes():
    pixel = io.BytesIO()
    Image.new("L", (2, 2)).save(pixel, "PNG")
    still = {"image/png": base64.b64encode(pixel.getvalue()).decode(), builder.WIDGET: {"model_id": "a"}}
    outputs = [
        nbformat.v4.new_output("display_data", data) for data in (still, {builder.WIDGET: {"model_id": "b"}})
    ]
    cell = nbformat.v4.new_code_cell("slider", outputs=outputs)
    notebook = nbformat.v4.new_notebook(cells=[cell], metadata={"language_info": {"name": "python"}})
    assert builder._clean(notebook) == []
    assert [list(output.data) for output in notebook.cells[0].outputs] == [["image/png"]]
