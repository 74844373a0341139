"""What is asked for one notebook, and how it ended."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class KernelTask:
    """What is needed to run one notebook.

    `scratch` takes what the kernel needs for itself while it runs; `env` is added to the environment of the
    process that starts it; `timeout` in seconds a cell.
    """

    label: str
    source: Path
    executed: Path
    scratch: Path
    parameters: dict[str, Any]
    env: dict[str, str]
    timeout: int


@dataclass
class Outcome:
    """How one run ended. `status` is done, failed or interrupted; `cells` counts executed code cells.

    `peak_memory` is the largest resident size in bytes of the kernel and its child processes that was seen,
    looking every other second; on Linux pages that they share count once.
    `error`: cell (number of the code cell, 0 if none is to blame), name, message, traceback (lines of text).
    `no_page`: why the executed notebook could not be made a page.
    """

    status: str
    seconds: float
    peak_memory: int
    cells: int
    total: int
    error: dict[str, Any] | None = None
    no_page: str | None = None


def failure(name: str, message: str, traceback: Sequence[str] = (), cell: int = 0) -> dict[str, Any]:
    """An error as an Outcome holds it, without the codes that colour it on a terminal."""
    lines = [line for part in traceback for line in _ANSI.sub("", part).splitlines()]
    return {"cell": cell, "name": name, "message": _ANSI.sub("", message), "traceback": lines}
