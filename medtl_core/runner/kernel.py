"""One notebook in one kernel, on a Dask worker."""

import logging
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import nbformat
import papermill
import psutil
from distributed import Worker, get_worker
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbconvert import HTMLExporter
from papermill.exceptions import PapermillExecutionError

from medtl_core.runner.environment import thread_variables
from medtl_core.runner.task import KernelTask, Outcome, failure

WATCH_SECONDS = 2.0  # finding a process tree reads all of /proc, and shared pages are counted one by one


@dataclass
class _Watch:
    """What is seen of a kernel; `stderr` takes what it says outside of cells, such as a crash."""

    stderr: IO[bytes]
    kernels: list[AsyncKernelManager] = field(default_factory=list)
    peak_memory: int = 0
    stopped: bool = False


def run_notebook(task: KernelTask, topic: str) -> Outcome:
    """Runs the notebook under papermill; writes the executed copy cell by cell, logs progress as `topic`.

    Raises OSError where the copy cannot be written.
    """
    for name in ("papermill", "traitlets"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with tempfile.TemporaryFile() as stderr:
        return _run_watched(task, topic, _Watch(stderr))


def _run_watched(task: KernelTask, topic: str, watch: _Watch) -> Outcome:
    worker = get_worker()
    place: dict[str, int] = {"cell": 0, "total": 0, "done": 0}

    def announce() -> None:
        event = {"label": task.label, "done": place["done"], "total": place["total"]}
        worker.log_event(topic, event)

    def on_start(notebook: Any) -> None:
        place["total"] = sum(_is_code(cell) for cell in notebook.cells)
        announce()

    def on_execute(cell: Any, cell_index: int) -> None:
        place["cell"] += 1

    def on_executed(cell: Any, cell_index: int, execute_reply: Any) -> None:
        place["done"] += 1
        announce()

    env = thread_variables(worker.state.nthreads) | task.env
    started = time.perf_counter()
    error: dict[str, Any] | None = None
    with _watching(watch, _cancelled(worker)):
        try:
            papermill.execute_notebook(
                task.source,
                task.executed,
                task.parameters,
                kernel_name="python3",
                language="python",
                progress_bar=False,
                cwd=task.source.parent,
                execution_timeout=task.timeout,
                kernel_manager_class=_kernel_manager(env, watch),
                on_notebook_start=on_start,
                on_cell_execute=on_execute,
                on_cell_executed=on_executed,
            )
        except PapermillExecutionError as raised:
            error = failure(raised.ename, raised.evalue, raised.traceback, place["cell"])
        except CellTimeoutError:
            message = f"took longer than {task.timeout} s"
            error = failure("CellTimeoutError", message, cell=place["cell"])
        except DeadKernelError:
            message = "the kernel died; most often the system ended it because memory ran out"
            error = failure("DeadKernelError", message, _tail(watch.stderr), place["cell"])
    _finish(task.executed, task.source.name)
    status = "interrupted" if watch.stopped else "failed" if error else "done"
    seconds = time.perf_counter() - started
    return Outcome(status, seconds, watch.peak_memory, place["done"], place["total"], error)


def _kernel_manager(env: dict[str, str], watch: _Watch) -> type[AsyncKernelManager]:
    """Managers of kernels that run in this very interpreter, whatever kernels the machine registers."""
    argv = [sys.executable, "-Xfrozen_modules=off", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = KernelSpec(argv=argv, env=env, display_name="Python 3", language="python")

    class ThisInterpreter(KernelSpecManager):
        def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
            return spec

    class Manager(AsyncKernelManager):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**(kwargs | {"kernel_spec_manager": ThisInterpreter()}))
            watch.kernels.append(self)

        async def start_kernel(self, **kwargs: Any) -> None:  # type: ignore[override]
            await super().start_kernel(**(kwargs | {"stderr": watch.stderr}))

    return Manager


@contextmanager
def _watching(watch: _Watch, cancelled: Callable[[], bool]) -> Iterator[None]:
    """Follows the kernel's memory, and kills it once `cancelled` says so."""
    ended = threading.Event()

    def follow() -> None:
        while not ended.wait(WATCH_SECONDS):
            processes = [p for kernel in watch.kernels for p in _process_tree(kernel)]
            if cancelled():
                watch.stopped = True
                for process in processes:
                    _kill(process)
            watch.peak_memory = max(watch.peak_memory, sum(_resident(p) for p in processes))

    thread = threading.Thread(target=follow, name="medtl-watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _cancelled(worker: Worker) -> Callable[[], bool]:
    """Whether nobody waits for the current task any more: cancelled, or the client went away."""
    key = worker.get_current_task()

    def answer() -> bool:
        task = worker.state.tasks.get(key)
        return task is None or task.state == "cancelled"

    return answer


def _process_tree(kernel: AsyncKernelManager) -> list[psutil.Process]:
    pid = getattr(kernel.provisioner, "pid", None)
    try:
        process = psutil.Process(pid) if pid else None
        return [process, *process.children(recursive=True)] if process else []
    except psutil.Error:
        return []


def _resident(process: psutil.Process) -> int:
    """Bytes of memory; pages that processes share count in parts where the system tells (Linux)."""
    try:
        memory = process.memory_full_info()
        return int(getattr(memory, "pss", memory.rss))
    except psutil.Error:
        return 0


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return


def _tail(stderr: IO[bytes], lines: int = 20) -> list[str]:
    stderr.seek(0)
    return stderr.read().decode("utf-8", "replace").splitlines()[-lines:]


def _is_code(cell: Any) -> bool:
    return cell.cell_type == "code" and bool(cell.source.strip())


def _finish(executed: Path, name: str) -> None:
    """Takes the paths that papermill notes out of the executed notebook, and makes a page of it."""
    notebook = nbformat.read(executed, as_version=4)
    notebook.metadata.setdefault("papermill", {}).update(input_path=name, output_path=executed.name)
    nbformat.write(notebook, executed)
    page, _ = HTMLExporter().from_notebook_node(notebook, {"metadata": {"name": executed.stem}})
    executed.with_suffix(".html").write_text(page, encoding="utf-8")
