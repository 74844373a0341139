"""What is asked of a worker for one notebook, and how it ended."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class KernelTask:
    """What a worker needs to run one notebook.

    `timeout` in seconds a cell; `env` is added to the worker's own environment, its thread settings included.
    """

    label: str
    source: Path
    executed: Path
    parameters: dict[str, Any]
    env: dict[str, str]
    timeout: int


@dataclass
class Outcome:
    """How one run ended. `status` is done, failed or interrupted; `cells` counts executed code cells.

    `peak_memory` is the largest resident size in bytes of the kernel and its child processes that was seen,
    looking every other second; on Linux pages that they share count once.
    `error`: cell (number of the code cell, 0 if none is to blame), name, message, traceback (lines of text).
    """

    status: str
    seconds: float
    peak_memory: int
    cells: int
    total: int
    error: dict[str, Any] | None = None


def failure(name: str, message: str, traceback: Sequence[str] = (), cell: int = 0) -> dict[str, Any]:
    """An error as an Outcome holds it, without the codes that colour it on a terminal."""
    lines = [line for part in traceback for line in _ANSI.sub("", part).splitlines()]
    return {"cell": cell, "name": name, "message": _ANSI.sub("", message), "traceback": lines}
