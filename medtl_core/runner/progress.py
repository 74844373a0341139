"""How far the notebooks are: bars on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Protocol

SECONDS_BETWEEN_LINES = 5.0


class Progress(Protocol):
    """Told of each executed code cell (`done` of `total`), and of the end of each run."""

    def cells(self, label: str, done: int, total: int) -> None: ...

    def ended(self, label: str, status: str, seconds: float) -> None: ...


class Lines:
    """One line at the start and the end of a run, and every few seconds between."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._last: dict[str, float] = {}

    def cells(self, label: str, done: int, total: int) -> None:
        now = time.monotonic()
        if done in (0, total) or now - self._last.get(label, 0.0) >= SECONDS_BETWEEN_LINES:
            self._last[label] = now
            self._write(f"{label} {done}/{total} cells")

    def ended(self, label: str, status: str, seconds: float) -> None:
        self._write(f"{label}: {status} after {seconds:.0f} s")

    def _write(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()


class Bars:
    """A bar per run and one over all runs, on a terminal."""

    def __init__(self, stream: IO[str], labels: list[str]) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichProgress

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self.bars = RichProgress(*columns, console=Console(file=stream))
        self._all = self.bars.add_task("notebooks", total=len(labels))
        self._tasks = {label: self.bars.add_task(label, total=None, start=False) for label in labels}

    def cells(self, label: str, done: int, total: int) -> None:
        self.bars.start_task(self._tasks[label])
        self.bars.update(self._tasks[label], completed=done, total=total)

    def ended(self, label: str, status: str, seconds: float) -> None:
        self.bars.update(self._tasks[label], description=f"{label}: {status}")
        self.bars.stop_task(self._tasks[label])
        self.bars.advance(self._all)


@contextmanager
def shown(labels: list[str], stream: IO[str] | None = None) -> Iterator[Progress]:
    """Shows progress on `stream` (stderr) as long as the context lasts."""
    stream = stream or sys.stderr
    if stream.isatty():
        progress = Bars(stream, labels)
        with progress.bars:
            yield progress
    else:
        yield Lines(stream)
