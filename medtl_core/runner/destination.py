"""Where a run may be written: looked at before anything is written, so that no source or result is lost."""

from pathlib import Path

from medtl_core.errors import MedtlError
from medtl_core.evidence.runs import FILE as KEPT
from medtl_core.runner.run_directory import RunDirectory
from medtl_core.source_hash import PACKAGE

SOURCES = ("notebooks", "studies", "medtl_core", "tests", "data_scripts", ".git")


def run_destination(text: str, project: Path) -> Path:
    """The absolute folder that `--out` names: a new one, an empty one, or one that runs were written to.

    MedtlError where it is empty text, a file, a folder that is or holds the project, lies in the project's
    sources or in a kept run, or holds anything else.
    """
    if not text.strip():
        raise MedtlError("--out: found empty text, expected a folder; give one or leave --out away")
    folder = Path(text).expanduser().absolute()
    place = folder.resolve()
    for root in (project.resolve(), PACKAGE.parent):
        if place == root or place in root.parents:
            raise MedtlError(f"--out {text}: that folder holds the project itself; choose a new folder")
        for name in SOURCES:
            if place.is_relative_to(root / name):
                raise MedtlError(f"--out {text}: lies in the project's {name}/; choose a folder outside it")
    if place.exists() and not place.is_dir():
        raise MedtlError(f"--out {text}: is a file, expected a folder; choose another")
    if any((parent / KEPT).is_file() for parent in (place, *place.parents)):
        raise MedtlError(f"--out {text}: is a kept run, expected a folder for a new run; choose another")
    if not RunDirectory(place).is_one():
        strange = next((path for path in place.rglob("*") if not path.is_dir()), None)
        if strange is not None:
            raise MedtlError(
                f"--out {text}: holds {strange.relative_to(place)} and is not a run directory; choose another"
            )
    return folder
