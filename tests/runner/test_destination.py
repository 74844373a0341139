import os

import pytest

from medtl_core.errors import MedtlError
from medtl_core.runner.destination import run_destination
from medtl_core.runner.run_directory import RunDirectory
from medtl_core.source_hash import PACKAGE


@pytest.fixture
def kept(project):
    """The project with a kept run in results/kept, a file, a full folder, and links to what is protected."""
    (project / "results" / "kept" / "records").mkdir(parents=True)
    (project / "results" / "kept" / "runs.json").write_text("[]")
    (project / "full" / "deep" / "deeper").mkdir(parents=True)
    (project / "full" / "deep" / "deeper" / "letter.txt").write_text("dear")
    (project / "file").write_text("text")
    (project / "lessons").symlink_to(project / "notebooks")
    (project / "everything").symlink_to(project)
    return project


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "found empty text"),
        (" ", "found empty text"),
        (".", "holds the project itself"),
        ("..", "holds the project itself"),
        ("/", "holds the project itself"),
        ("runs/..", "holds the project itself"),
        ("everything", "holds the project itself"),
        ("notebooks", "lies in the project's notebooks/"),
        ("notebooks/out", "lies in the project's notebooks/"),
        ("lessons/out", "lies in the project's notebooks/"),
        ("medtl_core/out", "lies in the project's medtl_core/"),
        ("tests/x/y", "lies in the project's tests/"),
        ("studies", "lies in the project's studies/"),
        (str(PACKAGE / "runner"), "lies in the project's medtl_core/"),
        (str(PACKAGE.parent), "holds the project itself"),
        ("results/kept", "is a kept run"),
        ("results/kept/new", "is a kept run"),
        ("full", "holds deep/deeper/letter.txt and is not a run directory"),
        ("file", "is a file"),
    ],
)
def test_a_folder_that_a_run_could_damage_is_refused(kept, text, found):
    with pytest.raises(MedtlError, match=found) as refusal:
        run_destination(text, kept)
    assert "\n" not in str(refusal.value)


def test_new_and_empty_folders_and_folders_of_runs_are_taken(kept, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert run_destination("runs/new", kept) == kept / "runs" / "new"
    assert run_destination(str(tmp_path / "x"), kept) == tmp_path / "x"
    assert run_destination("~/x", kept) == tmp_path / "x"
    assert run_destination("notebooks_of_mine", kept) == kept / "notebooks_of_mine"
    (kept / "empty" / "folders").mkdir(parents=True)
    assert run_destination("empty", kept) == kept / "empty"
    RunDirectory(kept / "used").prepare()
    (kept / "used" / "report.html").write_text("page")
    assert run_destination("used", kept) == kept / "used"


def test_a_folder_whose_preparation_was_killed_is_taken(kept, monkeypatch):
    """Whatever of its own a killed run leaves in a new folder, the next run may use the folder."""
    made = []
    for name in ("mkdir", "touch"):
        original = getattr(type(kept), name)

        def noted(self, *arguments, original=original, **more):
            original(self, *arguments, **more)
            made.append(run_destination("used", kept))

        monkeypatch.setattr(type(kept), name, noted)
    RunDirectory(kept / "used").prepare()
    assert len(made) >= 4
    assert os.listdir(kept / "used")
