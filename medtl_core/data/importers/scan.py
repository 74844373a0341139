"""The files of a source folder: which are meant, which are left out, and which are refused."""

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from medtl_core.data.importers.cases import Problems, plain_name
from medtl_core.errors import MedtlError

_HIDDEN = ("__MACOSX", "Thumbs.db", "DICOMDIR")


def scan(source: Path, meant: Callable[[Path], bool], problems: Problems) -> tuple[list[Path], list[str]]:
    """Paths within `source` of the files that are `meant`, in order, and sentences about what was left out.

    Hidden files and what operating systems leave behind are left out. A link that leads out of the folder, a
    linked folder, a name that cannot be printed and a name that differs from another one only in case or
    Unicode form are problems.

    Raises:
        MedtlError: no such folder, or no file in it is meant; and the problems, unless they are kept.
    """
    if not source.is_dir():
        raise MedtlError(f"{source}: no such folder, expected the folder of the images; check the path")
    root, found, hidden, others = source.resolve(), [], 0, Counter[str]()
    seen: dict[str, str] = {}
    for folder, subfolders, names in os.walk(source):
        links = _links(folder)
        inside = Path(folder).relative_to(source)
        for name in subfolders:
            if name in links:
                problems.add(_link(inside / name, "a link to a folder"))
        subfolders[:] = sorted(name for name in subfolders if not _is_hidden(name) and name not in links)
        for name in sorted(names):
            inner = inside / name
            shown = inner.as_posix()
            if _is_hidden(name):
                hidden += 1
            elif not meant(inner):
                others[inner.suffix.lower() or "no suffix"] += 1
            elif not shown.isprintable():
                problems.add(_unprintable(inner))
            elif name in links and not Path(folder, name).resolve().is_relative_to(root):
                problems.add(_link(inner, "a link that leads out of the folder"))
            elif (twin := seen.setdefault(plain_name(shown), shown)) != shown:
                problems.add(_twins(twin, shown))
            else:
                found.append(inner)
    if not found:
        kinds = ", ".join(f"{count} {kind}" for kind, count in others.most_common(5)) or "no files"
        raise MedtlError(f"{source}: found {kinds}, expected image files of the kind that is imported")
    return found, _left_out(hidden, others)


def _links(folder: str) -> set[str]:
    with os.scandir(folder) as entries:
        return {entry.name for entry in entries if entry.is_symlink()}


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in _HIDDEN


def _left_out(hidden: int, others: Counter[str]) -> list[str]:
    notes = []
    if hidden:
        notes.append(f"left out: {hidden} hidden files")
    if others:
        kinds = ", ".join(f"{count} {kind}" for kind, count in others.most_common(5))
        notes.append(f"left out: {others.total()} files of other kinds ({kinds})")
    return notes


def _link(inner: Path, found: str) -> MedtlError:
    return MedtlError(
        f"{str(inner)!r}: found {found}, expected files inside the source; copy what it leads to"
    )


def _unprintable(inner: Path) -> MedtlError:
    return MedtlError(f"{str(inner)!r}: found control characters in the name, expected text; rename the file")


def _twins(first: str, second: str) -> MedtlError:
    return MedtlError(
        f"'{first}' and '{second}': found names that differ only in case, Unicode form or spaces, expected "
        "one name a file; rename or remove one"
    )
