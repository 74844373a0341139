"""What a study says it measures, written down beside its records, so that rules can be held against it."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from medtl_core.errors import MedtlError
from medtl_core.evidence.record import DIRECTIONS, Record
from medtl_core.files import read_json, write_text

Level = bool | int | float | str
SUFFIX = ".study.json"


@dataclass(frozen=True)
class StudyDeclaration:
    """Arms, factors with their levels, and metrics with their directions of one study of a notebook.

    Names stand in order and once. Raises MedtlError for a metric whose direction is neither `higher` nor
    `lower` and for a level that is not text, a number or a boolean.
    """

    notebook: str
    study: str
    arms: tuple[str, ...]
    factors: Mapping[str, tuple[Level, ...]]
    metrics: Mapping[str, str]

    def __post_init__(self) -> None:
        place = f"study {self.notebook}/{self.study}"
        for metric, direction in self.metrics.items():
            if direction not in DIRECTIONS:
                raise MedtlError(
                    f"{place}: metric {metric!r} has the direction {direction!r}, expected "
                    f"{' or '.join(DIRECTIONS)}"
                )
        for name, levels in self.factors.items():
            if wrong := [level for level in levels if not isinstance(level, bool | int | float | str)]:
                raise MedtlError(
                    f"{place}: factor {name!r} has the level {wrong[0]!r}, expected text, a number or "
                    "a boolean"
                )
        object.__setattr__(self, "arms", tuple(sorted(set(self.arms))))
        object.__setattr__(
            self, "factors", {name: _in_order(self.factors[name]) for name in sorted(self.factors)}
        )
        object.__setattr__(self, "metrics", {name: self.metrics[name] for name in sorted(self.metrics)})

    def merged(self, other: "StudyDeclaration") -> "StudyDeclaration":
        """Both declarations of one study as one; MedtlError where they disagree on a metric's direction."""
        for metric in set(self.metrics) & set(other.metrics):
            if self.metrics[metric] != other.metrics[metric]:
                raise MedtlError(
                    f"study {self.notebook}/{self.study}: metric {metric!r} is declared better when "
                    f"{self.metrics[metric]} and when {other.metrics[metric]}; declare one direction"
                )
        factors = {
            name: (*self.factors.get(name, ()), *other.factors.get(name, ()))
            for name in {*self.factors, *other.factors}
        }
        return StudyDeclaration(
            self.notebook,
            self.study,
            (*self.arms, *other.arms),
            factors,
            {**self.metrics, **other.metrics},
        )


class DeclaredStore(Protocol):
    """Where declarations come from: a run's folder, or a kept run."""

    def declarations(self) -> list[StudyDeclaration]:
        """What studies wrote down; several of one study are to be merged."""

    def all(self, notebook: str | None = None) -> list[Record]:
        """Records, newest version of each number."""


def declare(folder: Path, declaration: StudyDeclaration) -> Path:
    """Write a study's declaration into a run's folder and return its path.

    `records/<notebook>/<study>/<digest>.study.json`: one file for each different declaration, so that
    processes that declare the same study with other levels at the same time lose nothing; reading merges.
    Raises MedtlError where the folder cannot be written.
    """
    text = json.dumps(asdict(declaration), indent=1, sort_keys=True) + "\n"
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    path = folder / "records" / declaration.notebook / declaration.study / f"{digest}{SUFFIX}"
    write_text(path, text)
    return path


def read_declaration_files(folder: Path) -> list[StudyDeclaration]:
    """The declarations that `declare` wrote into a run's folder; MedtlError for a malformed file."""
    return [
        read_json(path, parsed, expected="the declaration of a study", remedy="run the study again")
        for path in sorted((folder / "records").glob(f"*/*/*{SUFFIX}"))
    ]


def read_declarations(store: DeclaredStore) -> dict[tuple[str, str], StudyDeclaration]:
    """What each study of a run measures, by notebook and study.

    A study that declared nothing, as all did once, is taken to measure what its records hold.
    """
    found = merge(store.declarations())
    for place, derived in merge(map(_of_record, store.all())).items():
        found.setdefault(place, derived)
    return dict(sorted(found.items()))


def merge(declarations: Iterable[StudyDeclaration]) -> dict[tuple[str, str], StudyDeclaration]:
    """One declaration a study, by notebook and study."""
    found: dict[tuple[str, str], StudyDeclaration] = {}
    for one in declarations:
        known = found.get((one.notebook, one.study))
        found[one.notebook, one.study] = one if known is None or known == one else known.merged(one)
    return found


def parsed(row: Any) -> StudyDeclaration:
    """A declaration from JSON; KeyError, TypeError, AttributeError or MedtlError for anything malformed."""
    return StudyDeclaration(
        notebook=str(row["notebook"]),
        study=str(row["study"]),
        arms=tuple(map(str, row["arms"])),
        factors={str(name): tuple(levels) for name, levels in row["factors"].items()},
        metrics=dict(row["metrics"]),
    )


def _of_record(record: Record) -> StudyDeclaration:
    factors = {name: (level,) for name, level in record.factors.items()}
    return StudyDeclaration(
        record.notebook, record.study, (record.arm,), factors, {record.metric: record.direction}
    )


def _in_order(levels: Iterable[Level]) -> tuple[Level, ...]:
    return tuple(sorted(set(levels), key=lambda level: (isinstance(level, str), level)))
