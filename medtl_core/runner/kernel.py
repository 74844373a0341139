"""One notebook in one kernel."""

import logging
import tempfile
import time
from collections.abc import Callable
from typing import IO, Any

import nbformat
import papermill
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.exceptions import PapermillExecutionError

from medtl_core.runner.interpreter import KERNEL, kernel_manager
from medtl_core.runner.kernel_environment import kernel_environment
from medtl_core.runner.page import write_page
from medtl_core.runner.task import KernelTask, Outcome, failure
from medtl_core.runner.watch import KernelWatch, watched

LAST_LINES = 20


def run_notebook(
    task: KernelTask, on_cells: Callable[[int, int], None], cancelled: Callable[[], bool]
) -> Outcome:
    """Runs the notebook under papermill, which writes the executed copy cell by cell, and makes a page of it.

    `on_cells(done, total)` counts the code cells as they end, from the calling thread. Once `cancelled()` is
    true the kernel is killed and the outcome is `interrupted`. No process of the kernel is left afterwards.
    Raises OSError where the copy cannot be written.
    """
    for name in ("papermill", "traitlets"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    task.scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile() as stderr:
        started = time.perf_counter()
        with watched(cancelled) as watch:
            place, error = _execute(task, on_cells, watch, stderr)
        seconds = time.perf_counter() - started
    status = "interrupted" if watch.stopped else "failed" if error else "done"
    outcome = Outcome(status, seconds, watch.peak_memory, place["done"], place["total"], error)
    _forget_paths(task)
    outcome.no_page = write_page(task.executed)
    return outcome


def _execute(
    task: KernelTask, on_cells: Callable[[int, int], None], watch: KernelWatch, stderr: IO[bytes]
) -> tuple[dict[str, int], dict[str, Any] | None]:
    """How many code cells there are and ended, and the error that ended the run."""
    place = {"cell": 0, "total": 0, "done": 0}

    def on_start(notebook: Any) -> None:
        place["total"] = sum(_is_code(cell) for cell in notebook.cells)
        on_cells(0, place["total"])

    def on_execute(cell: Any, cell_index: int) -> None:
        place["cell"] += 1

    def on_executed(cell: Any, cell_index: int, execute_reply: Any) -> None:
        place["done"] += 1
        on_cells(place["done"], place["total"])

    environment = kernel_environment(task.env, task.scratch / "ipython")
    try:
        papermill.execute_notebook(
            _literal(task.source),
            _literal(task.executed),
            task.parameters,
            kernel_name=KERNEL,
            language="python",
            progress_bar=False,
            execution_timeout=task.timeout,
            # What cells have written is on disk by now, and Python takes seconds to take PyTorch apart.
            shutdown_kernel="immediate",
            kernel_manager_class=kernel_manager(
                environment, task.source.parent, task.scratch, stderr, watch.started
            ),
            on_notebook_start=on_start,
            on_cell_execute=on_execute,
            on_cell_executed=on_executed,
        )
    except PapermillExecutionError as raised:
        return place, failure(raised.ename, raised.evalue, raised.traceback, place["cell"])
    except CellTimeoutError:
        return place, failure("CellTimeoutError", f"took longer than {task.timeout} s", cell=place["cell"])
    except DeadKernelError:
        message = "the kernel died; most often the system ended it because memory ran out"
        return place, failure("DeadKernelError", message, _tail(stderr), place["cell"])
    except RuntimeError as raised:  # what jupyter_client raises for a kernel that does not start
        return place, failure(type(raised).__name__, str(raised), _tail(stderr), place["cell"])
    return place, None


def _literal(path: Any) -> str:
    """A path as papermill takes it: it puts parameters in the place of words in braces."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _tail(stderr: IO[bytes]) -> list[str]:
    stderr.seek(0)
    return stderr.read().decode("utf-8", "replace").splitlines()[-LAST_LINES:]


def _is_code(cell: Any) -> bool:
    return cell.cell_type == "code" and bool(cell.source.strip())


def _forget_paths(task: KernelTask) -> None:
    """Takes the paths that papermill notes out of the executed notebook."""
    notebook = nbformat.read(task.executed, as_version=4)
    notebook.metadata.setdefault("papermill", {}).update(
        input_path=task.source.name, output_path=task.executed.name
    )
    nbformat.write(notebook, task.executed)
