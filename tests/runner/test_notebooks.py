import jupytext
import pytest
from mini_project import write_notebook

from medtl_core.errors import MedtlError
from medtl_core.runner.notebooks import choose


@pytest.fixture
def folder(tmp_path):
    for place in ("notebooks/02_b", "notebooks/01_a", "studies/mine"):
        write_notebook(tmp_path / f"{place}.ipynb", "1")
    return tmp_path


def names(folder, *wanted):
    return [notebook.name for notebook in choose(folder, wanted)]


def write_source(folder, place, change=("", "")):
    notebook = jupytext.read(folder / f"{place}.ipynb")
    text = jupytext.writes(notebook, "py:percent").replace(*change)
    (folder / f"{place}.py").write_text(text)


def test_lessons_and_studies_are_chosen_by_name_or_path(folder):
    assert names(folder) == ["01_a", "02_b", "mine"]
    assert names(folder, "mine", "notebooks/02_b.ipynb") == ["02_b", "mine"]
    assert names(folder, "studies/mine", "studies/mine.py") == ["mine"]
    assert [n.place for n in choose(folder, ["01_a", "mine"])] == ["01_a", "studies/mine"]
    assert choose(folder, ["02_b"])[0].title == "About 02_b"


def test_unknown_none_and_twice(folder):
    with pytest.raises(MedtlError, match=r"unknown notebook '03_c' in .*; there are: 01_a, 02_b, mine"):
        names(folder, "03_c")
    with pytest.raises(MedtlError, match="no notebooks here"):
        names(folder / "empty")
    write_notebook(folder / "studies" / "01_a.ipynb", "1")
    with pytest.raises(MedtlError, match="01_a is in notebooks and in studies; rename one"):
        names(folder, "mine")


def test_a_source_that_was_not_built_says_what_to_do(folder):
    (folder / "notebooks" / "03_c.py").write_text("# %%\n1\n")
    assert names(folder, "01_a") == ["01_a"]
    for wanted in (["03_c"], []):
        with pytest.raises(
            MedtlError, match=r"03_c\.py: has no \.ipynb yet; make it: make notebooks ARGS=03_c"
        ):
            names(folder, *wanted)


def test_a_source_that_was_edited_since_is_refused(folder):
    write_source(folder, "studies/mine")
    assert names(folder) == ["01_a", "02_b", "mine"]
    for change in (("seeds: int = 3", "seeds: int = 4"), ("Text.", "Texts."), ("parameters", "parameter")):
        write_source(folder, "studies/mine", change)
        assert names(folder, "01_a") == ["01_a"]
        with pytest.raises(
            MedtlError, match=r"mine\.py: other cells .* make notebooks ARGS=mine .*jupytext"
        ) as e:
            names(folder)
        assert "\n" not in str(e.value)
    (folder / "studies" / "mine.py").write_bytes(b"\xff\xfe# %%")
    with pytest.raises(MedtlError, match="not a readable notebook"):
        names(folder)
