import shutil
import subprocess

import pytest

from medtl_core.runner.provenance import provenance
from medtl_core.source_hash import package_hash


def git(folder, *arguments):
    names = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
    answer = subprocess.run(
        ["git", "-C", str(folder), *names, *arguments], check=True, capture_output=True, text=True
    )
    return answer.stdout.strip()


@pytest.fixture
def package(tmp_path):
    """A package in a checkout of its own, everything committed."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    folder = tmp_path / "checkout" / "medtl_core"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("x = 1\n")
    git(folder.parent, "init", "-q")
    git(folder.parent, "add", ".")
    git(folder.parent, "commit", "-q", "-m", "first")
    return folder


def test_a_checkout_is_known_by_its_commit_and_its_changes(package, monkeypatch):
    monkeypatch.setenv("GIT_DIR", "/nowhere")  # as in a hook of another repository
    commit = subprocess.run(
        ["git", "-C", str(package), "rev-parse", "HEAD"], env={}, capture_output=True, text=True
    ).stdout.strip()
    clean = provenance(package)
    assert clean == {"commit": commit, "dirty": False, "package": package_hash(root=package)}
    assert len(commit) == 40
    (package.parent / "runs").mkdir()
    (package.parent / "runs" / "records").touch()
    assert provenance(package)["dirty"] is False
    (package / "new.py").write_text("y = 2\n")
    assert (provenance(package)["commit"], provenance(package)["dirty"]) == (commit, True)


def test_an_installed_package_inside_somebodys_checkout_has_no_commit(package):
    installed = package.parent / "venv" / "medtl_core"
    installed.mkdir(parents=True)
    (installed / "__init__.py").write_text("x = 1\n")
    found = provenance(installed)
    assert (found["commit"], found["dirty"]) == (None, None)
    assert len(found["package"]) == 64


def test_without_git_there_is_no_commit(package, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    found = provenance(package)
    assert (found["commit"], found["dirty"]) == (None, None)
    assert len(found["package"]) == 64
