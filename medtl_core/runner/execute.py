"""Notebooks side by side on Dask workers: on this machine, or on a scheduler that is given."""

import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from pathlib import Path
from uuid import uuid4

import dask
from distributed import Client, Future, LocalCluster, as_completed

from medtl_core.errors import MedtlError
from medtl_core.runner import worker
from medtl_core.runner.task import KernelTask, Outcome, failure

SECONDS_TO_STOP = 10
SECONDS_TO_CONNECT = 5
CONFIG = {
    # Dask's own thread and allocator settings are meant for NumPy tasks, not for kernels below its workers.
    "distributed.nanny.pre-spawn-environ": {},
    "distributed.scheduler.allowed-failures": 0,
}


def run_tasks(
    tasks: list[KernelTask],
    *,
    workers: int,
    scheduler: str | None,
    on_cells: Callable[[str, int, int], None],
    on_outcome: Callable[[str, Outcome], None],
) -> None:
    """Runs the tasks on `workers` local processes, or on the Dask scheduler at an address `scheduler`.

    `on_cells(label, done, total)` is called from another thread as cells end, `on_outcome(label, outcome)`
    from this one as runs end. On KeyboardInterrupt kernels and workers are stopped before it is raised again.
    MedtlError when the scheduler cannot be reached or a worker cannot write.
    """
    topic = f"medtl-{uuid4()}"
    with _client(workers, scheduler) as client:
        client.subscribe_topic(
            topic, lambda event: on_cells(event[1]["label"], event[1]["done"], event[1]["total"])
        )
        waiting = {
            client.submit(worker.execute, task, topic, key=f"{task.label}-{uuid4()}", pure=False): task.label
            for task in tasks
        }
        try:
            for future in as_completed(list(waiting), loop=client.loop):
                on_outcome(waiting[future], _outcome(future, waiting[future]))
        except BaseException:
            _stop(client, list(waiting))
            raise


def _outcome(future: Future, label: str) -> Outcome:
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, OSError):
        place = Path(str(error.filename)).name if error.filename else label
        raise MedtlError(
            f"{label}: {place}: {error.strerror or error}; free space or choose another --out"
        ) from error
    message = " ".join(str(error).split())
    return Outcome("failed", 0.0, 0, 0, 0, failure(type(error).__name__, message))


def require_scheduler(address: str) -> None:
    """MedtlError if no Dask scheduler answers at `address`."""
    _connected(address).close()


def _connected(address: str) -> Client:
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        return Client(address, timeout=SECONDS_TO_CONNECT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise MedtlError(
            f"--scheduler {address}: no Dask scheduler answers there, expected an address such as tcp://HOST:8786"
        ) from error


@contextmanager
def _client(workers: int, scheduler: str | None) -> Iterator[Client]:
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    if scheduler is not None:
        with _connected(scheduler) as client:
            yield client
        return
    with (
        dask.config.set(CONFIG),
        _cluster(workers) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


def _cluster(workers: int) -> LocalCluster:
    """Local workers. SIGINT is held back meanwhile, so that they, and what they start, inherit it blocked.

    Ctrl-C reaches every process of the terminal; only this one is to answer it, and to stop its workers.
    """
    resource_tracker.ensure_running()  # it would be started with the workers, and unblocks SIGINT for them
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            memory_limit=0,
            dashboard_address=None,
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},  # else it wants port 8787, and warns
            silence_logs=logging.CRITICAL,
        )
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _stop(client: Client, futures: list[Future]) -> None:
    """Cancels the tasks; each worker then kills its kernel, which is waited for."""
    previous = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        # A signal to the whole process group may have ended workers already; their kernels end with them.
        with suppress(OSError, TimeoutError):
            client.cancel(futures, force=True)
            client.run(worker.wait_until_idle, SECONDS_TO_STOP, on_error="ignore")
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
