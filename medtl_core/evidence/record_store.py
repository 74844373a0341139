"""The append-only store of records, and the folder that a process's records go to."""

import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medtl_core.errors import MedtlError
from medtl_core.evidence.old_layout import completed
from medtl_core.evidence.record import FIELDS, Record, order, to_frame
from medtl_core.evidence.study_declaration import StudyDeclaration, declare, read_declaration_files
from medtl_core.files import parse_json, read_arrays, read_text, write_arrays, write_text
from medtl_core.settings import run_directory

__all__ = ["Record", "RecordStore", "declare_check", "record_check", "to_frame"]


_LINES = "one record a line"
_REMEDY = "delete the file and run the trial again"


@dataclass(frozen=True)
class RecordStore:
    """Append-only folder of finished trials.

    `records/<notebook>/<study>/<key>.jsonl` and `predictions/<key>.npz`; what the studies declared stands
    beside the records. Each file is written beside its
    place and renamed, so a killed trial leaves nothing. Adding a key again (a trial read from the cache)
    makes its records the newest. Where several keys measured the same thing (the code changed), `all` gives
    the newest.
    """

    root: Path
    records_folder: Path = field(init=False)
    predictions_folder: Path = field(init=False)

    def __init__(self, root: str | Path) -> None:
        object.__setattr__(self, "root", Path(root))
        object.__setattr__(self, "records_folder", Path(root) / "records")
        object.__setattr__(self, "predictions_folder", Path(root) / "predictions")

    @property
    def kept(self) -> bool:
        """False: a folder that runs write to, not a kept run (`keep.KeptRun`)."""
        return False

    def add(self, records: Iterable[Record], predictions: Mapping[str, Any] | None = None) -> Path:
        """Keep the records of one finished trial, and its predictions.

        `predictions` holds `cases` (N,), `labels` (N,) and `scores` (N, K). Raises MedtlError when the
        records are none, belong to several trials, or name a metric twice, or the folder cannot be written.
        """
        records = list(records)
        trials = {(r.notebook, r.study, r.key) for r in records}
        if len(trials) != 1 or len({r.metric for r in records}) != len(records):
            raise MedtlError(
                f"{self.root}: {len(records)} records of {len(trials)} trials to add, "
                "expected one trial with each metric once"
            )
        notebook, study, key = trials.pop()
        if predictions is not None:
            arrays = _checked_predictions(predictions, key)
            file = self.predictions_folder / f"{key}.npz"
            write_arrays(file, arrays)
        written = time.time_ns()
        lines = "".join(json.dumps(asdict(r) | {"written": written}, sort_keys=True) + "\n" for r in records)
        path = self.records_folder / notebook / study / f"{key}.jsonl"
        write_text(path, lines)
        return path

    def has(self, key: str) -> bool:
        """Whether a trial of this key is finished, in any notebook and study."""
        return any(self._files(key=key))

    def trial(self, key: str) -> list[Record]:
        """The records of one finished trial (empty: none of that key)."""
        return [r for path in self._files(key=key)[:1] for _, r in _read(path)]

    def all(self, notebook: str | None = None) -> list[Record]:
        """Every record, or those of one notebook, sorted; of several versions of one number the newest.

        Raises MedtlError naming file and line for anything malformed.
        """
        newest: dict[tuple[Any, ...], tuple[int, Record]] = {}
        for path in self._files(notebook=notebook):
            for written, record in _read(path):
                known = newest.get(record.identity)
                if known is None or (known[0], known[1].key) < (written, record.key):
                    newest[record.identity] = (written, record)
        return sorted((r for _, r in newest.values()), key=order)

    def declarations(self) -> list[StudyDeclaration]:
        """What the studies declared, one or several for each study; MedtlError for a malformed file."""
        return read_declaration_files(self.root)

    def frame(self, notebook: str | None = None, study: str | None = None) -> pd.DataFrame:
        """Records as a tidy table: a column per field, and a column per factor in place of `factors`."""
        return to_frame(r for r in self.all(notebook) if study is None or r.study == study)

    def predictions(self, key: str) -> dict[str, np.ndarray] | None:
        """Kept predictions of a trial, None where none were kept; MedtlError for an unreadable file."""
        path = self.predictions_folder / f"{key}.npz"
        if not path.exists():
            return None
        arrays = read_arrays(path, expected="the predictions of a trial", remedy=_REMEDY)
        return _checked_predictions(arrays, str(path))

    def _files(self, notebook: str | None = None, key: str | None = None) -> list[Path]:
        return sorted(self.records_folder.glob(f"{notebook or '*'}/*/{key or '*'}.jsonl"))


def _read(path: Path) -> list[tuple[int, Record]]:
    lines = read_text(path, expected=_LINES, remedy=_REMEDY).splitlines()
    if not lines:
        raise MedtlError(f"{path}: found an empty file, expected {_LINES}; {_REMEDY}")
    return [
        parse_json(line, _parsed, place=f"{path}, line {number}", expected="a record", remedy=_REMEDY)
        for number, line in enumerate(lines, 1)
    ]


def _parsed(row: Any) -> tuple[int, Record]:
    row = completed(row)
    if set(row) != {*FIELDS, "written"} or not isinstance(row["written"], int):
        raise ValueError(f"fields {', '.join(sorted(row))} instead of {', '.join(sorted(FIELDS))}, written")
    return row.pop("written"), Record(**row)


def _checked_predictions(predictions: Mapping[str, Any], place: str) -> dict[str, np.ndarray]:
    if set(predictions) != {"cases", "labels", "scores"}:
        raise MedtlError(
            f"{place}: predictions hold {sorted(predictions)}, expected cases, labels and scores; {_REMEDY}"
        )
    arrays = {name: np.asarray(predictions[name]) for name in ("cases", "labels", "scores")}
    cases, labels, scores = arrays.values()
    if labels.ndim != 1 or cases.shape != labels.shape or scores.shape[:1] != labels.shape:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise MedtlError(
            f"{place}: predictions of shapes {shapes}, expected (N,), (N,) and (N, K); {_REMEDY}"
        )
    return arrays


def record_check(
    notebook: str,
    name: str,
    value: float,
    *,
    dataset: str = "phantoms",
    synthetic: bool = True,
    study: str = "checks",
) -> float:
    """Record an identity, a count or a deviation that a notebook measured.

    Arm `identity`, seed 0, metric `name`, which the study declares as well. `synthetic` says whether the
    images of `dataset` are made up; a check is no evidence about patients unless it is said to rest on their
    images. Returns the value, so that a cell can show it. A later check of the same name replaces it.
    """
    key = hashlib.sha256("\n".join((notebook, study, dataset, name)).encode()).hexdigest()[:32]
    record = Record(
        notebook=notebook,
        study=study,
        dataset=dataset,
        source_domain="",
        target_domain="",
        arm="identity",
        factors={},
        seed=0,
        metric=name,
        value=value,
        direction="lower",
        n_test=0,
        seconds=0.0,
        device="cpu",
        key=key,
        synthetic=synthetic,
    )
    RecordStore(run_directory()).add([record])
    declare_check(notebook, name, study=study)
    return record.value


def declare_check(notebook: str, name: str, *, study: str = "checks") -> None:
    """Say that a notebook records the check `name` in other runs, so that rules can be held against it."""
    declare(run_directory(), StudyDeclaration(notebook, study, ("identity",), {}, {name: "lower"}))
