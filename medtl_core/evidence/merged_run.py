"""A kept run and a further one as one: how a reference is collected over many starts."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medtl_core.evidence import case_resampling, rule_history
from medtl_core.evidence.ledger import EvidenceStore
from medtl_core.evidence.record import Record, order
from medtl_core.evidence.runs import ENVIRONMENT, environment, run_summaries
from medtl_core.evidence.runs import FILE as RUNS
from medtl_core.evidence.study_declaration import StudyDeclaration
from medtl_core.files import read_json, write_text


class MergedRun:
    """The evidence of several runs, the newest last; of several versions of one number the newest counts.

    `root` is an empty folder, which gets what a run's folder holds beside its records: intervals and rules
    of all of them (the rules that were in force first), one row for each notebook's run, the newest
    environment with the earlier ones under `earlier`.
    """

    kept = False

    def __init__(self, stores: list[EvidenceStore], root: Path) -> None:
        self._stores, self.root = stores, root
        roots = [store.root for store in stores]
        _write(root / case_resampling.FILE, _united(roots, case_resampling.FILE))
        _write(root / rule_history.FILE, _first_rules(roots))
        rows = {(row["label"], row["profile"]): row for store in stores for row in _summaries(store)}
        _write(root / RUNS, list(rows.values()))
        _write(root / ENVIRONMENT, _environments([environment(folder) for folder in roots]))

    def all(self, notebook: str | None = None) -> list[Record]:
        """Records of all runs, sorted."""
        newest = {record.identity: record for store in self._stores for record in store.all(notebook)}
        return sorted(newest.values(), key=order)

    def declarations(self) -> list[StudyDeclaration]:
        """What the studies of all runs declared."""
        return [one for store in self._stores for one in store.declarations()]

    def predictions(self, key: str) -> dict[str, np.ndarray] | None:
        """Predictions of a trial from whichever run has them."""
        found = (store.predictions(key) for store in self._stores)
        return next((one for one in found if one is not None), None)


@dataclass(frozen=True)
class SomeNotebooks:
    """The evidence of some notebooks of a run."""

    store: EvidenceStore
    notebooks: frozenset[str]

    @property
    def root(self) -> Path:
        """Folder of the run."""
        return self.store.root

    @property
    def kept(self) -> bool:
        """Whether the run is a kept one."""
        return self.store.kept

    def all(self, notebook: str | None = None) -> list[Record]:
        """Records of these notebooks."""
        return [record for record in self.store.all(notebook) if record.notebook in self.notebooks]

    def declarations(self) -> list[StudyDeclaration]:
        """What the studies of these notebooks declared."""
        return [one for one in self.store.declarations() if one.notebook in self.notebooks]

    def predictions(self, key: str) -> dict[str, np.ndarray] | None:
        """Predictions of a trial."""
        return self.store.predictions(key)


def _write(path: Path, content: Any) -> None:
    if content:
        write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def _summaries(store: EvidenceStore) -> list[dict[str, Any]]:
    rows = run_summaries(store.root)
    if not isinstance(store, SomeNotebooks):
        return rows
    return [row for row in rows if row["notebook"] in store.notebooks]


def _mappings(roots: Iterable[Path], name: str) -> list[dict[str, Any]]:
    paths = [root / name for root in roots if (root / name).is_file()]
    return [read_json(path, dict, expected="a mapping", remedy="delete it and judge again") for path in paths]


def _united(roots: Iterable[Path], name: str) -> dict[str, Any]:
    return {key: value for found in _mappings(roots, name) for key, value in found.items()}


def _first_rules(roots: Iterable[Path]) -> dict[str, Any]:
    """Of each study all that was measured anywhere, and the rules of the run that measured it first."""
    first: dict[str, Any] = {}
    for found in _mappings(roots, rule_history.FILE):
        for study, row in found.items():
            known = first.setdefault(study, row)
            measured = {*known.get("measured", []), *row.get("measured", [])}
            first[study] = {"measured": sorted(measured), "rules": known["rules"]}
    return first


def _environments(found: list[dict[str, Any]]) -> dict[str, Any]:
    """The newest, with each different earlier one under `earlier`."""
    plain = [{k: v for k, v in one.items() if k != "earlier"} for one in found]
    earlier = [old for one in found for old in one.get("earlier", [])]
    newest = plain[-1]
    earlier += [one for one in plain[:-1] if one != newest and one not in earlier]
    return newest | ({"earlier": earlier} if earlier else {})
