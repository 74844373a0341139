"""Each MEDTL_ variable means the same everywhere, and the project is found from anywhere."""

import subprocess
import sys
from pathlib import Path

import pytest

from medtl_core import settings
from medtl_core.errors import MedtlError

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture
def project(tmp_path, monkeypatch):
    for setting in settings.SETTINGS:
        monkeypatch.delenv(setting.variable, raising=False)
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    root = tmp_path / "project"
    (root / "notebooks").mkdir(parents=True)
    (root / "notebooks" / "claims.yaml").touch()
    (root / "archives").mkdir()
    monkeypatch.chdir(root)
    return root


def test_a_relative_folder_is_meant_from_the_project_wherever_one_stands(project, monkeypatch):
    for variable in ("MEDTL_DATA", "MEDTL_WEIGHTS", "MEDTL_STORE", "MEDTL_OUT", "MEDTL_CACHE"):
        monkeypatch.setenv(variable, "archives")
    for folder in (project, project / "notebooks"):
        monkeypatch.chdir(folder)
        found = [
            settings.data_folder(), settings.weights_folder(), settings.store_folder(),
            settings.run_directory(), settings.cache_folder(),
        ]  # fmt: skip
        assert found == [project / "archives"] * 5


def test_a_tilde_is_the_home_folder(project, monkeypatch):
    monkeypatch.setenv("HOME", str(project))
    monkeypatch.setenv("MEDTL_DATA", "~/archives")
    assert settings.data_folder() == project / "archives"


def test_defaults(project):
    assert settings.data_folder() is settings.weights_folder() is None
    assert settings.store_folder() == project / ".medtl" / "trials"
    assert settings.run_directory() == project / "runs" / "interactive"
    assert (settings.device(), settings.workers(), settings.profile()) == (None, 1, None)


@pytest.mark.parametrize(
    ("variable", "value", "ask", "line"),
    [
        ("MEDTL_DATA", "nowhere", settings.data_folder, "MEDTL_DATA: found 'nowhere' (/"),
        ("MEDTL_WEIGHTS", "/nowhere", settings.weights_folder, "MEDTL_WEIGHTS: found '/nowhere', expected"),
        ("MEDTL_DEVICE", "tpu", settings.device, "MEDTL_DEVICE is 'tpu', expected cpu or cuda"),
        ("MEDTL_WORKERS", "0", settings.workers, "workers is '0', expected a whole number of at least 1"),
        ("MEDTL_PROJECT", "archives", settings.project_root, "MEDTL_PROJECT: found 'archives', expected"),
    ],
)
def test_a_bad_value_is_one_line(project, monkeypatch, variable, value, ask, line):
    monkeypatch.setenv(variable, value)
    with pytest.raises(MedtlError) as error:
        ask()
    assert line in str(error.value)


def test_the_project_is_found_from_the_notebook_and_from_the_package(project, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert settings.project_root() == REPOSITORY
    monkeypatch.setenv("JPY_SESSION_NAME", str(project / "notebooks" / "a.ipynb"))
    assert settings.project_root() == project
    monkeypatch.setenv("MEDTL_PROJECT", str(REPOSITORY))
    assert settings.project_root() == REPOSITORY


def test_a_process_in_another_folder_gets_absolute_folders(project, monkeypatch):
    monkeypatch.setenv("MEDTL_DATA", "archives")
    assert settings.exported() == {
        "MEDTL_PROJECT": str(project),
        "MEDTL_DATA": str(project / "archives"),
    }


def test_a_misspelt_variable_is_told(project, monkeypatch):
    monkeypatch.setenv("MEDTL_WEIGHT", "x")
    assert settings.unknown_variables() == [
        "MEDTL_WEIGHT is set, but nothing reads it; did you mean MEDTL_WEIGHTS?"
    ]


def test_no_other_file_reads_the_environment_for_a_setting():
    readers = [
        path.relative_to(REPOSITORY).as_posix()
        for path in sorted((REPOSITORY / "medtl_core").rglob("*.py"))
        if path.name != "settings.py" and 'environ.get("MEDTL' in path.read_text("utf-8")
    ]
    assert readers == []


def test_every_variable_that_the_package_names_is_a_setting():
    names = {setting.variable for setting in settings.SETTINGS}
    command = ["git", "grep", "-hoE", "MEDTL_[A-Z]+", "--", "medtl_core"]
    found = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    assert set(found.split()) <= names


def test_reading_settings_loads_nothing_heavy():
    heavy = "{'numpy', 'torch', 'yaml', 'pandas'}"
    code = f"import sys, medtl_core.settings, medtl_core.files; print({heavy} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.strip() == "set()"
