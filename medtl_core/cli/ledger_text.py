"""A ledger as text: word and sentence for each statement, wrapped for the terminal or for a file."""

import shutil
import sys
import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from medtl_core.cli.terminal import plain
from medtl_core.evidence.words import UNMEASURED

if TYPE_CHECKING:
    from medtl_core.evidence.ledger import Ledger

FILE_WIDTH = 100
"""Columns where the output is no terminal."""


def width() -> int:
    """Columns that there are."""
    return min(shutil.get_terminal_size().columns, 120) if sys.stdout.isatty() else FILE_WIDTH


def wrapped(text: str, indent: int = 0, first: str = "") -> str:
    """Text that fits, indented by so many columns, its first line begun by `first`."""
    begun = first.ljust(indent) if first else " " * indent
    return textwrap.fill(
        plain(text), width(), initial_indent=begun, subsequent_indent=" " * indent, break_long_words=False
    )


def ledger_lines(ledger: "Ledger", audits: Iterable[str] = ()) -> list[str]:
    """Counts, then by notebook id, word and sentence of each statement that was measured.

    `audits` are lines on the data sets (`evidence.audits`), which stand at the end.
    """
    rows = ledger.rows()
    lines = [wrapped(ledger.summary())]
    measured = [row for row in rows if row["verdict"] not in UNMEASURED]
    for notebook in dict.fromkeys(row["notebook"] for row in measured):
        lines += ["", plain(notebook or "")]
        for row in (row for row in measured if row["notebook"] == notebook):
            lines.append(wrapped(f"{word_of(row)}. {row['statement']}", 6, row["id"]))
            lines.append(wrapped(row["sentence"] or row["reason"], 6))
    return [*lines, *data_lines(audits)]


def data_lines(audits: Iterable[str]) -> list[str]:
    """What the audit said of the data sets, under a heading; nothing where there are none."""
    lines = [wrapped(line, 2) for line in audits]
    return ["", "Data sets, as their audit found them", *lines] if lines else []


def word_of(row: dict[str, Any]) -> str:
    """The word, and whether it is exploratory: its rule is younger than its records."""
    word = str(row["verdict"]).capitalize()
    return f"{word} (exploratory)" if row["rule_changed_after_measurement"] else word
