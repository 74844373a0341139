"""The project's notebooks: which there are, what they declare, and what of them decides their outcome."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medtl_core.errors import MedtlError
from medtl_core.runner.parameters import Parameters, read_parameters

FOLDERS = ("notebooks", "studies")
Cells = tuple[tuple[str, str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class Notebook:
    """One notebook: `cells` are (type, source, tags) in order, without outputs and execution counts."""

    name: str
    path: Path
    title: str
    parameters: Parameters
    cells: Cells

    @property
    def place(self) -> str:
        """The name, with its folder if that is not the lessons'."""
        folder = self.path.parent.name
        return self.name if folder == FOLDERS[0] else f"{folder}/{self.name}"

    @property
    def makes_own_splits(self) -> bool:
        """Whether a cell is tagged `own-splits`: a published split that leaks is then a subject, no fault."""
        return any("own-splits" in tags for _, _, tags in self.cells)


def sources(project: Path) -> dict[str, Path]:
    """Path without ending of each notebook of the project by its name, in the order of names.

    Lessons lie in `notebooks/`, short studies in `studies/`, as NAME.py and the NAME.ipynb built of it.
    MedtlError where there are none, or where two have one name.
    """
    found: dict[str, Path] = {}
    for folder in FOLDERS:
        for name in sorted(
            {path.stem for end in ("py", "ipynb") for path in (project / folder).glob(f"*.{end}")}
        ):
            if name in found:
                raise MedtlError(f"{project}: {name} is in {' and in '.join(FOLDERS)}; rename one of them")
            found[name] = project / folder / name
    if not found:
        raise MedtlError(
            f"{project / FOLDERS[0]}: no notebooks here, expected NAME.ipynb files; "
            "run medtl inside the project's folder"
        )
    return dict(sorted(found.items()))


def named(project: Path, wanted: Iterable[str]) -> list[Path]:
    """Paths without ending of the notebooks that `wanted` names (or paths to them), or of all.

    MedtlError if one is unknown.
    """
    known = sources(project)
    names = [Path(name).name.removesuffix(".ipynb").removesuffix(".py") for name in wanted]
    for name in names:
        if name not in known:
            raise MedtlError(f"unknown notebook {name!r} in {project}; there are: {', '.join(known)}")
    return [known[name] for name in sorted(set(names)) or known]


def choose(project: Path, wanted: Iterable[str]) -> list[Notebook]:
    """The notebooks that `wanted` names (or paths to them), or all, in the order of names.

    MedtlError if one is unknown or not built of its .py as that is now.
    """
    chosen = []
    for stem in named(project, wanted):
        source, built = stem.with_suffix(".py"), stem.with_suffix(".ipynb")
        if not built.is_file():
            raise MedtlError(f"{source}: has no .ipynb yet; make it: make notebooks ARGS={stem.name}")
        notebook = read_notebook(built)
        if source.is_file() and _cells_of(source) != _without_last_newlines(notebook.cells):
            raise MedtlError(
                f"{source}: other cells than in {built.name}; make it again: make notebooks ARGS={stem.name} "
                f"(or, if it is {built.name} that you edited: jupytext --to py:percent {built})"
            )
        chosen.append(notebook)
    return chosen


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


def _cells_of(source: Path) -> Cells:
    """The cells of a .py in percent format, as `Notebook` holds those of an .ipynb."""
    import jupytext

    try:
        cells = jupytext.read(source).cells
    except (OSError, ValueError) as error:
        raise MedtlError(f"{source}: not a readable notebook ({error}); expected percent format") from error
    return _without_last_newlines((c.cell_type, c.source, c.metadata.get("tags", [])) for c in cells)


def _without_last_newlines(cells: Iterable[tuple[str, str, Iterable[str]]]) -> Cells:
    """The cells as the text form can tell them apart."""
    return tuple((kind, source.rstrip("\n"), tuple(tags)) for kind, source, tags in cells)


def _text(source: Any) -> str:
    return source if isinstance(source, str) else "".join(source)


def _title(cells: Cells) -> str:
    for kind, source, _ in cells:
        if kind == "markdown":
            for line in source.splitlines():
                if line.startswith("# "):
                    return line[2:].strip()
    return ""
