"""What `medtl run` says at its end: how the notebooks ended, the verdicts, and where the report lies."""

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from medtl_core.cli.terminal import plain
from medtl_core.errors import MedtlError

if TYPE_CHECKING:
    from medtl_core.evidence.ledger import Ledger
    from medtl_core.evidence.run_state import RunState

GIB = 2**30
TRACEBACK_LINES = 25
UNMEASURED = ("pending", "literature only")
_NO_SPACE_OR_RIGHT = re.compile(r"\[Errno (13|28|30|122)\]")


def show_run(states: list["RunState"], out: Path, *, as_json: bool) -> int:
    """Prints the summary of a run whose notebooks ended; the last line is the report's path.

    Returns the exit status: 0 if all ran, 1 if one failed. Raises MedtlError if each failure is bad input
    that showed inside a notebook.
    """
    from medtl_core.reporting.judging import judge_run

    ledger, report = judge_run(out)
    failed = [state for state in states if state.status != "done"]
    if as_json:
        runs = [state.as_json() for state in states]
        print(json.dumps({"runs": runs, "ledger": ledger.rows(), "report": str(report)}, indent=1))
    else:
        _show_tables(states, failed, ledger, report)
    for state in states:
        _warn(state)
    refused = [line for state in failed if (line := _bad_input(state))]
    if failed and len(refused) == len(failed):
        raise MedtlError(refused[0])
    return 1 if failed else 0


def verdict_table(ledger: "Ledger") -> Table:
    """The verdicts that were measured; the rest only counted in the title."""
    table = Table("id", "notebook", "verdict", "reason", title=ledger.summary())
    for row in ledger.rows():
        if row["verdict"] not in UNMEASURED:
            cells = (row["id"], row["notebook"] or "", row["verdict"], row["reason"])
            table.add_row(*(escape(plain(cell)) for cell in cells))
    return table


def _show_tables(states: list["RunState"], failed: list["RunState"], ledger: "Ledger", report: Path) -> None:
    console = Console()
    for state in failed:
        error = state.error
        if error is None:  # it was interrupted
            continue
        lines = error["traceback"][-TRACEBACK_LINES:]
        title = f"{state.label}: cell {error['cell']}: {error['name']}: {error['message']}"
        console.print(escape(plain(title)))
        console.print(escape(plain("\n".join(f"    {line}" for line in lines))), highlight=False)
    console.print(_run_table(states))
    console.print(verdict_table(ledger))
    print(report)


def _run_table(states: list["RunState"]) -> Table:
    table = Table("notebook", "", "cells", "minutes", "budget", "GiB", "budget")
    for state in states:
        budget = state.budget
        table.add_row(
            state.label,
            "already done" if state.skipped else state.status,
            f"{state.cells}/{state.total}",
            f"{(state.seconds or 0) / 60:.1f}",
            f"{budget['minutes']:g}",
            f"{(state.peak_memory or 0) / GIB:.1f}",
            f"{budget['memory_gib']:g}",
        )
    return table


def _warn(state: "RunState") -> None:
    if state.skipped:
        return
    budget = state.budget
    said = {
        "time": f"took {(state.seconds or 0) / 60:.1f} minutes, its budget is {budget['minutes']:g}",
        "memory": f"took {(state.peak_memory or 0) / GIB:.1f} GiB, its budget is {budget['memory_gib']:g}",
    }
    for what in state.over_budget:
        print(f"warning: {state.label} {said[what]}", file=sys.stderr)
    if state.no_page:
        print(plain(f"warning: {state.label} has no HTML page ({state.no_page})"), file=sys.stderr)


def _bad_input(state: "RunState") -> str | None:
    """The line for a failure that bad input caused (a MedtlError, no space, no right), None for any other."""
    error = state.error
    if error and (error["name"] == "MedtlError" or _NO_SPACE_OR_RIGHT.search(error["message"])):
        return f"{state.label}: {error['message']}"
    return None
