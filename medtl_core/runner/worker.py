"""What Dask workers are asked to do. Papermill is imported there, not where a run is started."""

import asyncio
import time

from medtl_core.runner.task import KernelTask, Outcome

_active: set[str] = set()


def execute(task: KernelTask, topic: str) -> Outcome:
    """Runs one notebook; see `kernel.run_notebook`."""
    from medtl_core.runner.kernel import run_notebook

    _active.add(task.label)
    try:
        return run_notebook(task, topic)
    finally:
        _active.discard(task.label)


async def wait_until_idle(seconds: float) -> bool:
    """Whether no notebook runs on this worker any more, waiting up to `seconds` for it."""
    deadline = time.monotonic() + seconds
    while _active and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    return not _active
