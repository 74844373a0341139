"""The ledger: the table of all verdicts of a run."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from medtl_core.evidence.case_resampling import CaseIntervals
from medtl_core.evidence.record import Record, to_frame
from medtl_core.evidence.register import Register
from medtl_core.evidence.register_head import Head
from medtl_core.evidence.rows import entry_row
from medtl_core.evidence.rule_history import changed_rules
from medtl_core.evidence.study_declaration import StudyDeclaration
from medtl_core.evidence.verdict import EntryVerdict, judge_entries
from medtl_core.files import write_text

FILE = "ledger.json"


class EvidenceStore(Protocol):
    """Where records come from: a run's folder, or a kept run."""

    @property
    def root(self) -> Path:
        """Folder of the run."""

    @property
    def kept(self) -> bool:
        """Whether this is a kept run, which is read and never written to."""

    def all(self, notebook: str | None = None) -> list[Record]:
        """Records, newest version of each number."""

    def declarations(self) -> list[StudyDeclaration]:
        """What the studies declared."""

    def predictions(self, key: str) -> dict[str, np.ndarray] | None:
        """Predictions of a trial, None where there are none."""


@dataclass(frozen=True)
class Ledger:
    """Verdicts in the order of the register, its head, and ids of entries whose rules changed meanwhile.

    `rules_changed`: a rule was changed or added after the records that it judges were taken.
    """

    head: Head
    verdicts: list[EntryVerdict]
    rules_changed: frozenset[str]

    def counts(self) -> dict[str, int]:
        """How many entries have each verdict."""
        return dict(Counter(verdict.verdict for verdict in self.verdicts))

    def rows(self) -> list[dict[str, Any]]:
        """One plain row per entry, ready for JSON."""
        return [
            entry_row(
                verdict,
                self.head.population_of(verdict.claim.population),
                verdict.claim.id in self.rules_changed,
                self.head.words,
            )
            for verdict in self.verdicts
        ]

    def to_json(self) -> str:
        """The rows as a JSON list, as `medtl ledger --json` prints it."""
        return json.dumps(self.rows(), indent=1, ensure_ascii=False) + "\n"

    def to_frame(self) -> pd.DataFrame:
        """One row per entry: id, section, statement, handling, notebook, verdict, reason, sentence."""
        columns = ["id", "section", "statement", "handling", "notebook", "verdict", "reason", "sentence"]
        return pd.DataFrame([[row[c] for c in columns] for row in self.rows()], columns=columns)

    def to_markdown(self, audits: Iterable[str] = ()) -> str:
        """The ledger as a Markdown table, then `audits`, lines on the data sets (`evidence.audits`)."""
        head = ["id", "section", "statement", "notebook", "verdict", "reason", "sentence"]
        lines = [f"# Ledger\n\n{self.summary()}\n", f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
        for row in self.rows():
            lines.append("| " + " | ".join(cell(row[column]) for column in head) + " |")
        listed = [f"- {cell(line)}" for line in audits]
        lines += ["\n## Data sets, as their audit found them\n", *listed] if listed else []
        return "\n".join(lines) + "\n"

    def summary(self) -> str:
        """Counts in words."""
        return ", ".join(f"{count} {verdict}" for verdict, count in sorted(self.counts().items()))


def cell(text: object) -> str:
    """Text for one cell of a Markdown table."""
    return " ".join(str(text or "").replace("|", "\\|").split())


def build_ledger(register: Register, store: EvidenceStore, notebook: str | None = None) -> Ledger:
    """Judge every entry (or those of one notebook) by the records of a run.

    A run's folder remembers the rules that were in force when its records were first judged
    (`rules_at_run.json`) and the intervals that needed predictions (`intervals.json`); a kept run is only
    read.
    Raises MedtlError for malformed records and for rules that do not fit their study.
    """
    claims = register.of(notebook)
    notebooks = sorted({claim.notebook for claim in claims if claim.notebook and claim.rules})
    records = {name: store.all(name) for name in notebooks}
    cases = CaseIntervals(store, store.root)
    frames = {name: to_frame(found) for name, found in records.items()}
    verdicts = judge_entries(register, frames, cases, notebook)
    changed = changed_rules(claims, records, store.root, write=not store.kept)
    if not store.kept:
        cases.save()
    return Ledger(register.head, verdicts, frozenset(changed))


def write_ledger(ledger: Ledger, folder: Path) -> Path:
    """Write `ledger.json` into a run's folder."""
    write_text(folder / FILE, ledger.to_json())
    return folder / FILE
