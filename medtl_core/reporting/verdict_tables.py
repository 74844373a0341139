"""The statements of a notebook and their verdicts, as tables that a notebook shows."""

from typing import Any

from medtl_core.evidence.ledger import EvidenceStore, build_ledger
from medtl_core.evidence.record_store import RecordStore
from medtl_core.evidence.register import Register, load_register
from medtl_core.evidence.wording import rule_in_words
from medtl_core.reporting.text_table import TextTable
from medtl_core.settings import run_directory


def statements_table(notebook: str, register: Register | None = None) -> TextTable:
    """The statements that a notebook answers, by id: handling, what is measured, what was expected."""
    columns = ["id", "statement", "handling", "what is measured", "expected"]
    rows = [
        [
            claim.id,
            claim.statement,
            claim.handling,
            "; ".join(rule_in_words(rule) for rule in claim.rules) or "nothing yet",
            claim.expected,
        ]
        for claim in (register or load_register()).of(notebook)
    ]
    return TextTable(rows, columns=columns).set_index("id")


def notebook_verdicts(
    notebook: str, store: EvidenceStore | None = None, register: Register | None = None
) -> TextTable:
    """Verdicts on a notebook's statements from the records there are (default: this process's run folder).

    One row per rule and data set: the entry's id and verdict, the reading and its hypothesis, then the data
    set with the verdict there, estimate, 95 % limits, seeds and reason. A statement without records has one
    row that says why.
    """
    ledger = build_ledger(register or load_register(), store or RecordStore(run_directory()), notebook)
    numbers = ["estimate", "low", "high", "seeds"]
    rows: list[list[Any]] = []
    for row in ledger.rows():
        head = [row["id"], row["verdict"]]
        parts = [
            [
                *head,
                rule["reading"],
                rule["hypothesis"],
                name,
                found["verdict"],
                *(found[n] for n in numbers),
                found["reason"],
            ]
            for rule in row["rules"]
            for name, found in rule["datasets"].items()
        ]
        rows.extend(parts or [[*head, "", row["statement"], "", "", None, None, None, None, row["reason"]]])
    table = TextTable(
        rows, columns=["id", "verdict", "reading", "hypothesis", "dataset", "there", *numbers, "reason"]
    )
    return table.astype({"estimate": float, "low": float, "high": float, "seeds": "Int64"})
