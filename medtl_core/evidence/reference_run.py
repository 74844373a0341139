"""Keeping a run in the repository: compact records, ledger and environment, as text."""

import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medtl_core.errors import MedtlError
from medtl_core.evidence import case_resampling, rule_history
from medtl_core.evidence.audits import audit_lines
from medtl_core.evidence.kept_records import compact, read_declaration, read_records
from medtl_core.evidence.ledger import FILE as LEDGER
from medtl_core.evidence.ledger import EvidenceStore, Ledger, build_ledger
from medtl_core.evidence.merged_run import MergedRun, SomeNotebooks
from medtl_core.evidence.record import Record, order
from medtl_core.evidence.record_store import RecordStore
from medtl_core.evidence.register import Register, load_register
from medtl_core.evidence.runs import ENVIRONMENT, environment, run_summaries, without_machine
from medtl_core.evidence.runs import FILE as RUNS
from medtl_core.evidence.study_declaration import StudyDeclaration, read_declarations
from medtl_core.files import write_text


@dataclass(frozen=True)
class KeptRun:
    """A kept run: `records/<notebook>/<study>.jsonl`, a header line and one line per trial. Read only."""

    root: Path

    @property
    def kept(self) -> bool:
        """True: nothing is written into this folder."""
        return True

    def all(self, notebook: str | None = None, study: str | None = None) -> list[Record]:
        """Every record, or those of one notebook or study, sorted; MedtlError for anything malformed."""
        files = sorted((self.root / "records").glob(f"{notebook or '*'}/{study or '*'}.jsonl"))
        return sorted((record for file in files for record in read_records(file)), key=order)

    def declarations(self) -> list[StudyDeclaration]:
        """What the studies declared; nothing for files of the old layout, whose header has no arms."""
        found = [read_declaration(file) for file in sorted((self.root / "records").glob("*/*.jsonl"))]
        return [declaration for declaration in found if declaration is not None]

    def predictions(self, key: str) -> dict[str, np.ndarray] | None:
        """None: a kept run has no predictions, but the intervals that were computed from them."""
        return None


def open_run(folder: str | Path) -> RecordStore | KeptRun:
    """The evidence in a folder, of a run or kept; MedtlError where there is no run in it."""
    folder = Path(folder)
    if (folder / RUNS).is_file():
        return KeptRun(folder)
    if not (folder / "records").is_dir() and not (folder / "state").is_dir():
        raise MedtlError(f"{folder}: no run there (no `records`, no `state`); run notebooks first: medtl run")
    return RecordStore(folder)


def read_kept(folder: str | Path) -> KeptRun:
    """A kept run; MedtlError where the folder holds none."""
    folder = Path(folder)
    if not (folder / RUNS).is_file():
        raise MedtlError(
            f"{folder}: no kept run there ({RUNS} is missing); keep one: medtl keep RUN {folder}"
        )
    return KeptRun(folder)


def kept_folders(folder: Path) -> list[Path]:
    """The kept runs in a folder, by name; MedtlError where there are none."""
    found = sorted(path.parent for path in folder.glob(f"*/{RUNS}"))
    if not found:
        raise MedtlError(
            f"{folder}: no kept run there; name a run, or keep one: medtl keep RUN {folder}/NAME"
        )
    return found


def keep_run(
    run: str | Path,
    target: str | Path,
    *,
    register: Register | None = None,
    overwrite: bool = False,
    merge: bool = False,
    notebooks: Iterable[str] = (),
) -> Path:
    """Write a run's evidence as small text files, fit for a repository; returns the folder.

    Records at six significant digits, `ledger.json` and `ledger.md`, `environment.json` and `runs.json`
    without names of folders, users and hosts. Written beside `target` and renamed. With `merge` the run is
    added to the one that is kept in `target`, if there is one; `notebooks` keeps only these. MedtlError where
    `target` exists (unless `overwrite` or `merge`, and then only if it is a kept run) or cannot be written.
    """
    store: EvidenceStore = open_run(run)
    target = Path(target)
    if target.exists() and not ((overwrite or merge) and (target / RUNS).is_file()):
        hint = (
            "it is not a kept run: choose another"
            if overwrite or merge
            else "choose another name, or say to overwrite it or to merge"
        )
        raise MedtlError(f"{target}: exists already; {hint}")
    if only := frozenset(notebooks):
        if unknown := only - {record.notebook for record in store.all()}:
            raise MedtlError(
                f"{run}: no records of {', '.join(sorted(unknown))}; name notebooks that it holds"
            )
        store = SomeNotebooks(store, only)
    with tempfile.TemporaryDirectory() as scratch:
        if only or (merge and target.exists()):
            before = [read_kept(target)] if merge and target.exists() else []
            store = MergedRun([*before, store], Path(scratch))
        return _keep(store, target, register or load_register())


def _keep(store: EvidenceStore, target: Path, register: Register) -> Path:
    ledger = build_ledger(register, store)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=target.parent, prefix=".part-"))
        try:
            _write(part, store, ledger)
            part.chmod(0o755)
            if target.exists():
                old = Path(tempfile.mkdtemp(dir=target.parent, prefix=".old-"))
                os.replace(target, old)
                os.replace(part, target)
                shutil.rmtree(old)
            else:
                os.replace(part, target)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        raise MedtlError(
            f"{target}: cannot be written ({error.strerror or error}); choose another folder"
        ) from error
    return target


def _write(folder: Path, store: EvidenceStore, ledger: Ledger) -> None:
    declared = read_declarations(store)
    for place, found in itertools.groupby(store.all(), key=lambda r: (r.notebook, r.study)):
        notebook, study = place
        write_text(folder / "records" / notebook / f"{study}.jsonl", compact(declared[place], list(found)))
    write_text(folder / LEDGER, ledger.to_json())
    runs = run_summaries(store.root)
    write_text(folder / "ledger.md", ledger.to_markdown(audit_lines(runs)))
    write_text(folder / ENVIRONMENT, _json(without_machine(environment(store.root))))
    write_text(folder / RUNS, _json(without_machine(runs)))
    for name in (rule_history.FILE, case_resampling.FILE):
        if (store.root / name).is_file():
            write_text(folder / name, (store.root / name).read_text(encoding="utf-8"))


def _json(content: Any) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
