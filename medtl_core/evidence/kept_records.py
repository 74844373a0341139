"""The text form of a kept study: JSON lines, a header and one line for each trial."""

import json
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from medtl_core.errors import MedtlError
from medtl_core.evidence.old_layout import completed
from medtl_core.evidence.pairing import SIGNIFICANT_DIGITS
from medtl_core.evidence.record import Record
from medtl_core.evidence.study_declaration import StudyDeclaration, parsed
from medtl_core.files import parse_json, read_text

HEADER = ("notebook", "study", "directions", "arms", "factors")
OLD_HEADER = ("notebook", "study", "directions")
TRIAL = (
    "dataset", "source_domain", "target_domain", "arm", "factors", "seed", "n_test", "seconds", "device",
    "key", "synthetic", "configuration", "metrics",
)  # fmt: skip
_EXPECTED = "a kept study: a header, then a trial a line"
_REMEDY = "keep the run again"


def compact(declaration: StudyDeclaration, records: list[Record]) -> str:
    """A study as JSON lines: a header that declares it, then one line a trial, numbers at six digits."""
    directions = {record.metric: record.direction for record in records}
    trials: dict[tuple[Any, ...], dict[str, Any]] = {}
    for record in records:
        row = {name: getattr(record, name) for name in TRIAL if name != "metrics"}
        place = tuple(json.dumps(row[name], sort_keys=True) for name in row)
        found = trials.setdefault(place, row | {"seconds": _significant(record.seconds, 3), "metrics": {}})
        found["metrics"][record.metric] = _significant(record.value, SIGNIFICANT_DIGITS)
    header = {
        "notebook": declaration.notebook,
        "study": declaration.study,
        "directions": {**declaration.metrics, **directions},
        "arms": declaration.arms,
        "factors": declaration.factors,
    }
    lines = [header, *trials.values()]
    return "".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in lines)


def _significant(value: float, digits: int) -> float | int:
    rounded = float(f"{value:.{digits}g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 10**digits else rounded


def _lines(path: Path) -> list[str]:
    lines = read_text(path, expected=_EXPECTED, remedy=_REMEDY).splitlines()
    if not lines:
        raise MedtlError(f"{path}: found an empty file, expected {_EXPECTED}; {_REMEDY}")
    return lines


def read_records(path: Path) -> list[Record]:
    """The records of a kept study; MedtlError naming file and line for anything malformed.

    A lesson asks for the same files again and again; each is parsed once for as long as it does not change.
    """
    try:
        found = path.stat()
    except OSError:
        return _parsed(path)
    return list(_parsed_once(path, found.st_mtime_ns, found.st_size, found.st_ino))


@lru_cache(maxsize=64)
def _parsed_once(path: Path, changed_ns: int, size: int, inode: int) -> list[Record]:
    return _parsed(path)


def _parsed(path: Path) -> list[Record]:
    lines = _lines(path)
    header = parse_json(lines[0], _header, place=f"{path}, line 1", expected=_EXPECTED, remedy=_REMEDY)
    found: list[Record] = []
    for number, line in enumerate(lines[1:], 2):
        place = f"{path}, line {number}"
        found += parse_json(line, partial(_records, header), place=place, expected="a trial", remedy=_REMEDY)
    return found


def read_declaration(path: Path) -> StudyDeclaration | None:
    """What the header of a kept study declares; None for the old layout, whose header has no arms."""
    place = f"{path}, line 1"
    return parse_json(_lines(path)[0], _declaration, place=place, expected=_EXPECTED, remedy=_REMEDY)


def _header(row: Any) -> dict[str, Any]:
    if not isinstance(row, dict) or set(row) not in (set(HEADER), set(OLD_HEADER)):
        raise ValueError(f"not a header with {', '.join(HEADER)}")
    return row


def _declaration(row: Any) -> StudyDeclaration | None:
    header = _header(row)
    return parsed(header | {"metrics": header["directions"]}) if set(header) == set(HEADER) else None


def _records(header: dict[str, Any], row: Any) -> list[Record]:
    row = completed(row)
    if set(row) != set(TRIAL) or not isinstance(row["metrics"], dict):
        raise ValueError(f"not a trial with {', '.join(TRIAL)}")
    shared = {name: row[name] for name in TRIAL if name != "metrics"}
    if undirected := sorted(set(row["metrics"]) - set(header["directions"])):
        raise ValueError(f"metric {undirected[0]!r} has no direction in the header")
    return [
        Record(
            notebook=header["notebook"],
            study=header["study"],
            metric=metric,
            value=value,
            direction=header["directions"][metric],
            **shared,
        )
        for metric, value in row["metrics"].items()
    ]
