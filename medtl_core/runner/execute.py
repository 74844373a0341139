"""Notebooks side by side: in threads of this process, each with its own kernel, or on a Dask scheduler."""

import errno
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol

from medtl_core.errors import MedtlError
from medtl_core.runner.interruption import interruptions_noted
from medtl_core.runner.task import KernelTask, Outcome, failure

SECONDS_BETWEEN_LOOKS = 0.1
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)


class Pending(Protocol):
    """A run that ends some time: a future of the standard library's or of Dask's."""

    def done(self) -> bool: ...

    def result(self) -> Outcome: ...


def run_tasks(
    tasks: list[KernelTask],
    *,
    workers: int,
    scheduler: str | None,
    on_cells: Callable[[str, int, int], None],
    on_outcome: Callable[[str, Outcome], None],
) -> None:
    """Runs the tasks, `workers` at a time on this machine, or on the Dask scheduler at `scheduler`.

    `on_cells(label, done, total)` is called from another thread as cells end, `on_outcome(label, outcome)`
    from this one, the main thread, as runs end. Raises KeyboardInterrupt after SIGINT, SIGTERM or SIGHUP,
    once the kernels are stopped; MedtlError when the scheduler cannot be reached or a run cannot write.
    """
    with interruptions_noted() as interrupted, _started(tasks, workers, scheduler, on_cells) as running:
        waiting = dict(running)
        while waiting:
            if interrupted():
                raise KeyboardInterrupt
            for label in [label for label, future in waiting.items() if future.done()]:
                on_outcome(label, outcome_of(waiting.pop(label), label))
            time.sleep(SECONDS_BETWEEN_LOOKS)


def outcome_of(future: Pending, label: str) -> Outcome:
    """How a run that is done ended. MedtlError if it could not write."""
    try:
        return future.result()
    except Exception as error:  # whatever it was, such as a scheduler that was lost, it ended this run alone
        if isinstance(error, OSError) and error.errno in UNWRITABLE:
            place = Path(str(error.filename)).name if error.filename else label
            raise MedtlError(
                f"{label}: {place}: {error.strerror}; free space or choose another --out"
            ) from error
        message = " ".join(str(error).split())
        lines = traceback.format_exception(error)
        return Outcome("failed", 0.0, 0, 0, 0, failure(type(error).__name__, message, lines))


def _started(
    tasks: list[KernelTask],
    workers: int,
    scheduler: str | None,
    on_cells: Callable[[str, int, int], None],
) -> AbstractContextManager[Mapping[str, Pending]]:
    if scheduler is None:
        return _in_threads(tasks, workers, on_cells)
    from medtl_core.runner.worker import on_scheduler

    return on_scheduler(tasks, scheduler, on_cells)


@contextmanager
def _in_threads(
    tasks: list[KernelTask], workers: int, on_cells: Callable[[str, int, int], None]
) -> Iterator[dict[str, Pending]]:
    """The runs by label. What runs still when the context ends is stopped, and waited for."""
    from medtl_core.runner.kernel import run_notebook

    stop = threading.Event()
    with ThreadPoolExecutor(workers, "medtl-notebook") as pool:
        try:
            yield {
                task.label: pool.submit(run_notebook, task, partial(on_cells, task.label), stop.is_set)
                for task in tasks
            }
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
