"""`make notebooks`: each .ipynb is made of its .py and executed, and holds nothing that differs by machine.

Usage: python -m medtl_core.runner.build [NAME ...]    (notebooks by name; all of them when none is named)
"""

import re
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import jupytext
import nbformat
from jupytext.combine import combine_inputs_with_outputs
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from medtl_core.errors import MedtlError
from medtl_core.files import write_text
from medtl_core.runner.interpreter import KERNEL, kernel_manager
from medtl_core.runner.kernel_environment import kernel_environment
from medtl_core.runner.notebooks import named
from medtl_core.runner.pictures import compact_png
from medtl_core.runner.progress import shown
from medtl_core.runner.watch import watched
from medtl_core.settings import project_root

TIMEOUT = 1800  # seconds a cell
WIDGET = "application/vnd.jupyter.widget-view+json"
PNG = "image/png"
_BAR = re.compile(r"\d+%\|.*\|")  # as tqdm draws it
# A lesson is built with its own defaults, on phantoms, whatever its builder has set for runs.
UNSET = ("MEDTL_DATA", "MEDTL_WEIGHTS", "MEDTL_PROFILE", "MEDTL_DEVICE", "MEDTL_WORKERS")


def build(path: Path, on_cells: Callable[[int, int], None]) -> list[str]:
    """Makes `path` (.py, percent format) into the .ipynb beside it, executed; returns its warnings.

    The ids of unchanged cells stay. What cells write to stderr is returned, a line each with the number of
    the code cell, and does not stand in the file, nor do progress bars, times of execution or the version of
    Python. `on_cells(done, total)` counts code cells. MedtlError for a cell that fails; the file then stays
    as it was.
    """
    target = path.with_suffix(".ipynb")
    if not path.is_file():
        raise MedtlError(
            f"{path}: no such file, expected the source of {target.name}; write it, or delete that"
        )
    notebook = jupytext.read(path)
    if target.is_file():
        notebook = combine_inputs_with_outputs(notebook, nbformat.read(target, as_version=4))
    _execute(notebook, path, on_cells)
    warnings = _clean(notebook)
    nbformat.validate(notebook)
    write_text(target, nbformat.writes(notebook) + "\n")
    return warnings


def _execute(notebook: NotebookNode, path: Path, on_cells: Callable[[int, int], None]) -> None:
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in code:
        cell.outputs, cell.execution_count = [], None
        cell.metadata.pop("execution", None)
    with (
        tempfile.TemporaryFile() as stderr,
        tempfile.TemporaryDirectory(prefix="medtl-build-") as folder,
        watched(lambda: False) as watch,
    ):
        environment = _environment(Path(folder))
        manager = kernel_manager(environment, path.parent, Path(folder), stderr, watch.started)
        client = NotebookClient(
            notebook,
            timeout=TIMEOUT,
            kernel_name=KERNEL,
            kernel_manager_class=manager,
            record_timing=False,
            coalesce_streams=True,
            store_widget_state=False,
        )
        client.reset_execution_trackers()
        done = 0
        try:
            with client.setup_kernel():
                on_cells(0, len(code))
                for index, cell in enumerate(notebook.cells):
                    client.execute_cell(cell, index)
                    if cell.cell_type == "code":
                        done += 1
                        on_cells(done, len(code))
                assert client.kc is not None, "the kernel was set up"
                answer = client.wait_for_reply(client.kc.kernel_info())
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            raise MedtlError(f"{path.name}: code cell {done + 1} failed: {error}") from error
    assert answer is not None, "the kernel has just executed a cell"
    notebook.metadata["language_info"] = answer["content"]["language_info"]


def _clean(notebook: NotebookNode) -> list[str]:
    """Takes out what must not be committed; returns what was said on stderr."""
    warnings = []
    notebook.metadata.pop("widgets", None)
    notebook.metadata.get("jupytext", {}).pop("text_representation", None)
    notebook.metadata.language_info.pop("version", None)
    for number, cell in enumerate((c for c in notebook.cells if c.cell_type == "code"), 1):
        said = [output.text for output in cell.outputs if output.get("name") == "stderr"]
        lines = [line for text in said for line in text.splitlines()]
        warnings += [f"cell {number}: {line}" for line in lines if line.strip() and not _BAR.search(line)]
        cell.outputs = [
            output
            for output in cell.outputs
            if output.get("name") != "stderr" and (WIDGET not in output.get("data", {}) or PNG in output.data)
        ]
        for output in cell.outputs:
            if PNG in output.get("data", {}):
                output.data.pop(WIDGET, None)  # the still picture stands in for it
                output.data[PNG] = compact_png(output.data[PNG])
    return warnings


def _environment(scratch: Path) -> dict[str, str]:
    own = {
        "MEDTL_OUT": str(scratch / "run"),
        "MEDTL_STORE": str(scratch / "trials"),
        "NO_ALBUMENTATIONS_UPDATE": "1",
    }
    environment = kernel_environment(own, scratch / "ipython")
    return {name: value for name, value in environment.items() if name not in UNSET}


def main(names: list[str]) -> int:
    """Builds the notebooks that `names` names, of all if empty; exit status 2 at the first that fails."""
    root = project_root()
    try:
        for stem in named(root, names):
            path = stem.with_suffix(".py")
            with shown([path.stem]) as progress:
                warnings = build(path, partial(progress.cells, path.stem))
            for warning in warnings:
                print(f"{path.stem}: {warning}", file=sys.stderr)
            print(path.with_suffix(".ipynb").relative_to(root))
    except MedtlError as error:
        print("medtl:", error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
