"""Notebooks on a Dask cluster that is given: what its workers do, and what this process asks of them.

Only this file knows Dask. Whoever reaches a scheduler without TLS can run code on its workers.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from uuid import uuid4

from distributed import Client, Future, Worker, get_worker

from medtl_core.errors import MedtlError
from medtl_core.runner.environment import thread_variables
from medtl_core.runner.task import KernelTask, Outcome

SECONDS_TO_STOP = 10
SECONDS_TO_CONNECT = 5
_active: set[str] = set()


def require_workers(address: str) -> None:
    """MedtlError if no Dask scheduler answers at `address`, or one without workers."""
    with _connected(address) as client:
        if not client.scheduler_info(n_workers=-1)["workers"]:
            raise MedtlError(f"--scheduler {address}: no worker there; start one: dask worker {address}")


@contextmanager
def on_scheduler(
    tasks: list[KernelTask], address: str, on_cells: Callable[[str, int, int], None]
) -> Iterator[dict[str, "Future[Outcome]"]]:
    """The runs by label. What runs still when the context ends is stopped, and waited for.

    MedtlError when the scheduler cannot be reached.
    """
    topic = f"medtl-{uuid4()}"
    with _connected(address) as client:
        client.subscribe_topic(topic, lambda event: on_cells(*event[1]))
        futures = {
            task.label: client.submit(_execute, task, topic, key=f"{task.label}-{uuid4()}", pure=False)
            for task in tasks
        }
        try:
            yield futures
        finally:
            running = [future for future in futures.values() if not future.done()]
            if running:
                # A signal to the whole process group may have ended workers already, and their kernels.
                with suppress(OSError, TimeoutError):
                    client.cancel(running, force=True)
                    client.run(_idle, SECONDS_TO_STOP, on_error="ignore")


def _connected(address: str) -> Client:
    for name in ("distributed", "distributed.client"):  # the latter has a level of its own
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        return Client(address, timeout=SECONDS_TO_CONNECT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise MedtlError(
            f"--scheduler {address}: no Dask scheduler answers there, expected an address such as tcp://HOST:8786"
        ) from error


def _execute(task: KernelTask, topic: str) -> Outcome:
    """Runs one notebook on the worker that calls this, with the worker's share of threads."""
    from medtl_core.runner.kernel import run_notebook

    worker = get_worker()

    def on_cells(done: int, total: int) -> None:
        worker.log_event(topic, (task.label, done, total))

    _active.add(task.label)
    try:
        env = thread_variables(worker.state.nthreads) | task.env
        return run_notebook(replace(task, env=env), on_cells, _cancelled(worker))
    finally:
        _active.discard(task.label)


def _cancelled(worker: Worker) -> Callable[[], bool]:
    """Whether nobody waits for the current task any more: cancelled, or the client went away."""
    key = worker.get_current_task()

    def answer() -> bool:
        task = worker.state.tasks.get(key)
        return task is None or task.state == "cancelled"

    return answer


async def _idle(seconds: float) -> bool:
    """Whether no notebook runs on this worker any more, waiting up to `seconds` for it."""
    deadline = time.monotonic() + seconds
    while _active and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    return not _active
