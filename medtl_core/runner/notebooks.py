"""The project's notebooks: which there are, what they declare, and what of them decides their outcome."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medtl_core.errors import MedtlError
from medtl_core.runner.parameters import Parameters, read_parameters


@dataclass(frozen=True)
class Notebook:
    """One notebook: `cells` are (type, source, tags) in order, without outputs and execution counts."""

    name: str
    path: Path
    title: str
    parameters: Parameters
    cells: tuple[tuple[str, str, tuple[str, ...]], ...]

    @property
    def makes_own_splits(self) -> bool:
        """Whether a cell is tagged `own-splits`: a published split that leaks is then a subject, no fault."""
        return any("own-splits" in tags for _, _, tags in self.cells)


def available(folder: Path) -> list[str]:
    """Names of the notebooks in `folder`, sorted. MedtlError where there are none."""
    names = sorted(path.stem for path in folder.glob("*.ipynb"))
    if not names:
        raise MedtlError(
            f"{folder}: no notebooks here, expected NAME.ipynb files; run medtl inside the project's folder"
        )
    return names


def choose(folder: Path, wanted: Iterable[str]) -> list[Notebook]:
    """The notebooks that `wanted` names (or paths to them), or all; MedtlError if unknown."""
    known = available(folder)
    names = [Path(name).name.removesuffix(".ipynb").removesuffix(".py") for name in wanted]
    for name in names:
        if name not in known:
            raise MedtlError(f"unknown notebook {name!r} in {folder}; there are: {', '.join(known)}")
    return [read_notebook(folder / f"{name}.ipynb") for name in sorted(set(names)) or known]


def read_notebook(path: Path) -> Notebook:
    """Reads a notebook (nbformat 4).

    MedtlError for anything else, without one `parameters` cell, or for the executed copy of a notebook: its
    cell `injected-parameters` would silently undo the parameters of the next run.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
        cells = tuple(
            (str(cell["cell_type"]), _text(cell["source"]), tuple(cell["metadata"].get("tags", [])))
            for cell in content["cells"]
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise MedtlError(
            f"{path}: not a readable notebook ({type(error).__name__}: {error}); expected nbformat 4"
        ) from error
    if any("injected-parameters" in tags for _, _, tags in cells):
        raise MedtlError(
            f"{path}: is the executed copy of a notebook (a cell is tagged `injected-parameters`), "
            f"expected the notebook itself; restore it, or make it again: make notebooks ARGS={path.stem}"
        )
    declaring = [source for kind, source, tags in cells if kind == "code" and "parameters" in tags]
    if len(declaring) != 1:
        raise MedtlError(f"{path}: {len(declaring)} cells tagged `parameters`, expected 1")
    return Notebook(path.stem, path, _title(cells), read_parameters(declaring[0], path.stem), cells)


def _text(source: Any) -> str:
    return source if isinstance(source, str) else "".join(source)


def _title(cells: tuple[tuple[str, str, tuple[str, ...]], ...]) -> str:
    for kind, source, _ in cells:
        if kind == "markdown":
            for line in source.splitlines():
                if line.startswith("# "):
                    return line[2:].strip()
    return ""
