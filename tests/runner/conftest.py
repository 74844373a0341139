import pytest
from mini_project import make_project


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of mini notebooks, the current folder of the test."""
    folder = make_project(tmp_path / "project")
    monkeypatch.chdir(folder)
    return folder
