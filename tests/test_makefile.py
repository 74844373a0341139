"""When make makes the environment from nothing, and what it does for a report; nothing is installed here."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FROM_NOTHING = "-m venv --clear"
# What a make that runs these tests hands down: its flags, and the variables of its command line.
HANDED_DOWN = ("MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS", "PYTHON", "VENV", "PROFILE", "ARGS")


def make(folder: Path, *arguments: str, **environment: str) -> str:
    """What make would do (`-n`), or the message that it ends with."""
    done = subprocess.run(
        ["make", "-n", *arguments],
        cwd=folder,
        env={k: v for k, v in os.environ.items() if k not in HANDED_DOWN} | environment,
        capture_output=True,
        text=True,
    )
    return done.stdout + done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkout whose environment is made: its interpreter, the stamp, and no package."""
    place = tmp_path / "a checkout"
    place.mkdir()
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, place)
    programs = place / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "python").symlink_to(Path(sys.executable).resolve())
    version = ".".join(map(str, sys.version_info[:3]))
    stamp = f"{version} {Path(sys.executable).resolve()} for {place}/.venv\n"
    (place / ".venv" / ".ready").write_text(stamp, encoding="utf-8")
    return place


def test_a_sound_environment_is_left_alone(folder):
    assert "Nothing to be done" in make(folder, "env")
    assert "Nothing to be done" in make(folder, "env", PYTHONHOME="/nonexistent")
    assert "Nothing to be done" in make(folder, "env", f"PYTHON={sys.executable}")


def test_a_changed_lock_is_installed_into_the_environment_there_is(folder):
    later = (folder / ".venv" / ".ready").stat().st_mtime + 10
    os.utime(folder / "requirements.lock", (later, later))
    told = make(folder, "env")
    assert "requirements.lock" in told
    assert FROM_NOTHING not in told


def test_an_environment_of_an_older_checkout_is_kept(folder):
    (folder / ".venv" / ".ready").write_text("", encoding="utf-8")
    assert "Nothing to be done" in make(folder, "env")
    assert FROM_NOTHING in make(folder, "env", "PYTHON=/nonexistent/python3")


def half_made(folder: Path) -> Path:
    (folder / ".venv" / ".ready").unlink()
    return folder


def without_its_python(folder: Path) -> Path:
    (folder / ".venv" / "bin" / "python").unlink()
    (folder / ".venv" / "bin" / "python").symlink_to("/nonexistent/python3")
    return folder


def moved(folder: Path) -> Path:
    return folder.rename(folder.parent / "elsewhere")


def of_another_version(folder: Path) -> Path:
    stamp = folder / ".venv" / ".ready"
    stamp.write_text("3.9.1 " + stamp.read_text("utf-8").partition(" ")[2], encoding="utf-8")
    return folder


@pytest.mark.parametrize("damage", [half_made, without_its_python, moved, of_another_version])
def test_any_other_environment_is_made_from_nothing(folder, damage):
    assert FROM_NOTHING in make(damage(folder), "env")


def test_another_python_asked_for_is_used(folder, tmp_path):
    other = tmp_path / "python3.12"
    other.write_text("#!/bin/sh\necho 3.12.99 /another/python3.12\n", encoding="utf-8")
    other.chmod(0o755)
    assert f"{other} {FROM_NOTHING}" in make(folder, "env", f"PYTHON={other}")


@pytest.mark.parametrize(
    ("arguments", "run"),
    [
        ([], ""),
        (["PROFILE=teach"], "runs/teach-cpu/"),
        (["PROFILE=full"], "full"),
        (["ARGS=results/teach-cpu"], "results/teach-cpu"),
    ],
)
def test_report_is_of_the_run_that_is_named(folder, arguments, run):
    (folder / "runs" / "teach-cpu").mkdir(parents=True)
    command = (
        make(folder, "report", *arguments).splitlines()[-1].replace(".venv/bin/medtl report", "printf %s")
    )
    told = subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True, check=True)
    assert told.stdout == run
