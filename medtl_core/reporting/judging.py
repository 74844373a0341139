"""Judging a run: its verdicts, written into its folder together with the report."""

from pathlib import Path

from medtl_core.evidence.ledger import Ledger, build_ledger, write_ledger
from medtl_core.evidence.record_store import RecordStore
from medtl_core.evidence.register import load_register
from medtl_core.reporting.closing import reference_ledger
from medtl_core.reporting.html import write_report


def judge_run(folder: Path) -> tuple[Ledger, Path]:
    """The verdicts of a run, and the path of its report; ledger.json and report.html are written."""
    judged = build_ledger(load_register(), RecordStore(folder))
    write_ledger(judged, folder)
    return judged, write_report(folder, judged, reference_ledger())
