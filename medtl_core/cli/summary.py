"""What `medtl run` says at its end: how the notebooks ended, what was checked, what the reference found."""

import json
import re
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from medtl_core.cli.ledger_text import data_lines, wrapped
from medtl_core.cli.terminal import plain
from medtl_core.errors import MedtlError

if TYPE_CHECKING:
    from medtl_core.evidence.run_state import RunState
    from medtl_core.reporting.closing import Count

GIB = 2**30
TRACEBACK_LINES = 25
NEXT = "On real images: MEDTL_DATA=FOLDER medtl run --profile teach"
_NO_SPACE_OR_RIGHT = re.compile(r"\[Errno (13|28|30|122)\]")


def show_run(states: list["RunState"], out: Path, *, as_json: bool) -> int:
    """Prints the summary of a run whose notebooks ended; the last lines are the report and what comes next.

    Returns the exit status: 0 if all ran, every identity held and every planted effect showed, else 1. Raises
    MedtlError if each failure is bad input that showed inside a notebook.
    """
    from medtl_core.evidence.audits import audit_lines
    from medtl_core.reporting.closing import identities, planted_effects
    from medtl_core.reporting.judging import judge_run

    ledger, report = judge_run(out)
    failed = [state for state in states if state.status != "done"]
    checks = {"identities met": identities(ledger), "planted effects recovered": planted_effects(ledger)}
    if as_json:
        runs = [state.as_json() for state in states]
        counts = {name: {"held": c.held, "failed": c.failed} for name, c in checks.items()}
        print(
            json.dumps(
                {"runs": runs, "checks": counts, "ledger": ledger.rows(), "report": str(report)}, indent=1
            )
        )
    else:
        _show_failures(failed)
        Console().print(_run_table(states))
        print(
            "\n".join(
                [
                    *data_lines(audit_lines(asdict(state) for state in states)),
                    *_check_lines(checks),
                    *_reference_lines(),
                    *_own_lines(states, out),
                    "",
                    f"Report: {report}",
                    NEXT,
                ]
            )
        )
    for state in states:
        _warn(state)
    refused = [line for state in failed if (line := _bad_input(state))]
    if failed and len(refused) == len(failed):
        raise MedtlError(refused[0])
    return 1 if failed or any(count.failed for count in checks.values()) else 0


def _check_lines(checks: dict[str, "Count"]) -> list[str]:
    lines = [""]
    for name, count in checks.items():
        if not count.total:
            continue
        where = "" if name.startswith("identities") else " on made-up data"
        lines.append(f"{name.capitalize()}{where}: {count.held} of {count.total}")
        lines += [wrapped(f"failed: {plain(one)}", 4) for one in count.failed]
    return lines


def _reference_lines() -> list[str]:
    """What the reference run found: words by count, and the sentences that say most."""
    from medtl_core.reporting.closing import reference_ledger, reference_name, told, words_by_evidence

    ledger = reference_ledger()
    if ledger is None:
        return ["", "No reference run is kept yet: medtl keep RUN results/reference"]
    patients, made_up = (
        ", ".join(f"{count} {word}" for word, count in words.most_common())
        for words in words_by_evidence(ledger)
    )
    lines = ["", wrapped(f"On patients' images the reference run ({reference_name()}) found: {patients}.")]
    if made_up:
        lines.append(wrapped(f"Identities and made-up images alone decide the others: {made_up}."))
    for row in told(ledger):
        said = f"“{row['statement']}” {row['verdict'].capitalize()}. {row['sentence']}"
        lines.append(wrapped(said, 6, row["id"]))
    return [*lines, f"All of them: medtl ledger {reference_name()}"]


def _own_lines(states: list["RunState"], out: Path) -> list[str]:
    """Where the results on one's own data sets stand: the sentences above are about others."""
    lines = []
    for state in states:
        page = out / "notebooks" / f"{state.label}.{'ipynb' if state.no_page else 'html'}"
        if "@" in state.label and page.is_file():
            lines.append(f"What {state.label} found: {page}")
    return ["", *lines] if lines else []


def _show_failures(failed: list["RunState"]) -> None:
    console = Console()
    for state in failed:
        error = state.error
        if error is None:  # it was interrupted
            continue
        lines = error["traceback"][-TRACEBACK_LINES:]
        title = f"{state.label}: cell {error['cell']}: {error['name']}: {error['message']}"
        console.print(escape(plain(title)))
        console.print(escape(plain("\n".join(f"    {line}" for line in lines))), highlight=False)


def _run_table(states: list["RunState"]) -> Table:
    table = Table(Column("notebook", overflow="fold"), "", "cells", "minutes", "budget", "GiB", "budget")
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
