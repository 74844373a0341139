"""What a run directory notes of each run: the runner writes it, reports and kept runs read it."""

from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from medtl_core.files import read_json, write_json

FOLDER = "state"


@dataclass(frozen=True)
class RunState:
    """One run of one notebook, as `state/LABEL.json` holds it.

    `status` is running, done, failed or interrupted; `key` identifies run and outcome; `files` are the
    records and predictions that the run published, relative to the directory. `data`: checksums by name.
    `audits`: of the data sets among them the audit's verdict, `word` and `why` (see `evidence.audits`).
    `budget`: minutes and memory_gib. `peak_memory` in bytes, `seconds` of wall time, None before the run has
    ended; `cells` of `total` code cells ended. `error`: cell, name, message, traceback. `no_page`: why there
    is no HTML page. `over_budget`: of `time`, `memory`. `commit`, `dirty` and `package` say which code ran
    (see `runner.provenance`). `skipped`: this command found the run done already.
    """

    label: str
    notebook: str
    status: str
    key: str
    files: list[str]
    title: str = ""
    profile: str | None = None
    device: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    data: dict[str, str] = field(default_factory=dict)
    audits: dict[str, dict[str, str]] = field(default_factory=dict)
    budget: dict[str, float] = field(default_factory=dict)
    executed: str = ""
    started: str = ""
    commit: str | None = None
    dirty: bool | None = None
    package: str | None = None
    seconds: float | None = None
    peak_memory: int | None = None
    cells: int = 0
    total: int = 0
    error: dict[str, Any] | None = None
    no_page: str | None = None
    over_budget: list[str] = field(default_factory=list)
    skipped: bool = False

    def as_json(self) -> dict[str, Any]:
        """The fields by name, as plain data."""
        return asdict(self)


def state_path(directory: Path, label: str) -> Path:
    """Where a run directory holds the state of a run."""
    return directory / FOLDER / f"{label}.json"


def state_labels(directory: Path) -> list[str]:
    """Labels of all runs that a run directory knows, sorted."""
    return sorted(path.stem for path in (directory / FOLDER).glob("*.json"))


def read_state(directory: Path, label: str) -> RunState:
    """The state of a run; fields that an older version did not write have their defaults.

    MedtlError, in one line, for a file that is missing, damaged or another run's.
    """

    def parse(content: Any) -> RunState:
        state = _adapter().validate_python(content)
        if state.label != label:
            raise ValueError(f"it is that of {state.label}")
        return state

    remedy = "delete it and run again"
    return read_json(state_path(directory, label), parse, expected="the state of a run", remedy=remedy)


def write_state(directory: Path, state: RunState) -> None:
    """Keeps the state of a run. MedtlError where it cannot be written."""
    write_json(state_path(directory, state.label), state.as_json())


@cache
def _adapter() -> TypeAdapter[RunState]:
    return TypeAdapter(RunState)
