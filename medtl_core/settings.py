"""Every setting that comes from the environment: the `MEDTL_` variables, read in one place.

A folder may begin with `~`. A relative one is meant from the project's folder, whatever the current folder
is, so that the command line, its kernels and a notebook in JupyterLab mean the same place.
"""

import difflib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from medtl_core.errors import MedtlError

PACKAGE = Path(__file__).resolve().parent
REGISTER = Path("notebooks") / "claims.yaml"
DEVICES = ("cpu", "cuda")


@dataclass(frozen=True)
class Setting:
    """A variable, what it is for, and the function that gives its value in force (None: nothing)."""

    variable: str
    meaning: str
    value: Callable[[], object]

    @property
    def origin(self) -> str:
        """`environment` where the variable is set, else `default`."""
        return "environment" if os.environ.get(self.variable) else "default"


def project_root() -> Path:
    """The project's folder: the one that holds `notebooks/claims.yaml`.

    MEDTL_PROJECT names it; else it is found upwards from the notebook that runs (where Jupyter tells), from
    the current folder, and from this package. The current folder where there is none.
    """
    if chosen := os.environ.get("MEDTL_PROJECT"):
        root = Path(chosen).expanduser().absolute()
        if not (root / REGISTER).is_file():
            raise MedtlError(f"MEDTL_PROJECT: found '{chosen}', expected a folder that holds {REGISTER}")
        return root
    here = Path.cwd()
    starts = [here, PACKAGE]
    if notebook := os.environ.get("JPY_SESSION_NAME"):
        starts.insert(0, here / notebook)
    for start in starts:
        for folder in (start, *start.parents):
            if (folder / REGISTER).is_file():
                return folder
    return here


def data_folder() -> Path | None:
    """The folder of archives that MEDTL_DATA names, None if not set; MedtlError if it is no folder."""
    return _existing_folder("MEDTL_DATA", "a folder of archives (.npz)")


def weights_folder() -> Path | None:
    """The folder of weights that MEDTL_WEIGHTS names, None if not set; MedtlError if it is no folder."""
    return _existing_folder("MEDTL_WEIGHTS", "a folder of <timm name>.safetensors files")


def cache_folder() -> Path:
    """The folder of downloads: MEDTL_CACHE, else the user's cache. It need not exist yet."""
    return _folder("MEDTL_CACHE") or Path(platformdirs.user_cache_dir("medtl")).absolute()


def store_folder() -> Path:
    """The folder of finished trials: MEDTL_STORE, else `.medtl/trials` of the project."""
    return _folder("MEDTL_STORE") or project_root() / ".medtl" / "trials"


def run_directory() -> Path:
    """The folder that this process's records go to: MEDTL_OUT, else `runs/interactive` of the project."""
    return _folder("MEDTL_OUT") or project_root() / "runs" / "interactive"


def device() -> str | None:
    """What MEDTL_DEVICE says, `cpu` or `cuda`; None if it is not set. MedtlError for another word."""
    chosen = os.environ.get("MEDTL_DEVICE") or None
    if chosen is not None and chosen not in DEVICES:
        raise MedtlError(
            f"MEDTL_DEVICE is {chosen!r}, expected {' or '.join(DEVICES)} (or unset: cuda if there is one)"
        )
    return chosen


def workers() -> int:
    """How many trials run at a time: MEDTL_WORKERS, else 1. MedtlError below 1."""
    return checked_workers(os.environ.get("MEDTL_WORKERS") or "1")


def checked_workers(found: str) -> int:
    """`found` as a number of workers. MedtlError unless it is a whole number of at least 1."""
    if not found.isdecimal() or int(found) < 1:
        raise MedtlError(f"workers is {found!r}, expected a whole number of at least 1 (MEDTL_WORKERS)")
    return int(found)


def profile() -> str | None:
    """The name of the profile that a notebook runs under (MEDTL_PROFILE), None outside of `medtl run`."""
    return os.environ.get("MEDTL_PROFILE") or None


SETTINGS = (
    Setting("MEDTL_DATA", "folder of archives", data_folder),
    Setting("MEDTL_WEIGHTS", "folder of pretrained weights", weights_folder),
    Setting("MEDTL_CACHE", "folder of downloads", cache_folder),
    Setting("MEDTL_STORE", "folder of finished trials", store_folder),
    Setting("MEDTL_OUT", "folder of this process's records", run_directory),
    Setting("MEDTL_PROJECT", "the project's folder", project_root),
    Setting("MEDTL_DEVICE", "cpu or cuda; cuda if there is one, where it is not set", device),
    Setting("MEDTL_WORKERS", "trials of a study at a time", workers),
    Setting("MEDTL_PROFILE", "profile of the run; set by medtl run", profile),
)


def unknown_variables() -> list[str]:
    """A line for each MEDTL_ variable in the environment that nothing reads, with the likely spelling."""
    known = [setting.variable for setting in SETTINGS]
    lines = []
    for name in sorted(name for name in os.environ if name.startswith("MEDTL_") and name not in known):
        near = difflib.get_close_matches(name, known, 1)
        lines.append(f"{name} is set, but nothing reads it" + (f"; did you mean {near[0]}?" if near else ""))
    return lines


def exported() -> dict[str, str]:
    """The variables for a process that runs in another folder: every folder absolute, the project named.

    A variable that is not set stays unset, but for MEDTL_PROJECT. Errors as the functions above.
    """
    found = {s.variable: s.value() for s in SETTINGS if s.origin == "environment"}
    return {"MEDTL_PROJECT": str(project_root())} | {name: str(value) for name, value in found.items()}


def _folder(variable: str) -> Path | None:
    value = os.environ.get(variable)
    if not value:
        return None
    folder = Path(value).expanduser()
    return folder if folder.is_absolute() else Path(os.path.normpath(project_root() / folder))


def _existing_folder(variable: str, expected: str) -> Path | None:
    folder = _folder(variable)
    if folder is not None and not folder.is_dir():
        found = os.environ[variable]
        meant = "" if str(folder) == found else f" ({folder})"
        raise MedtlError(f"{variable}: found '{found}'{meant}, expected {expected}; change or unset it")
    return folder
