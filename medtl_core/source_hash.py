"""What the package's source says, as one hash: the part of a cache key that changes when the code does."""

import ast
import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent

_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def normalised_source(source: str) -> str:
    """`source` (Python text) without comments, docstrings and layout: equal for programs that do the same."""
    return ast.unparse(without_docstrings(source))


def without_docstrings(source: str) -> ast.Module:
    """The syntax tree of `source` (Python text) without its docstrings; what had nothing else is empty."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return tree


def package_hash(rooms: Iterable[str] | None = None, *, root: Path = PACKAGE) -> str:
    """SHA-256 (hex) of the package's normalised source.

    `rooms` are names of sub-packages or modules under `root` ("data", "training", "errors"); None takes
    everything. The answer does not depend on the order of `rooms`, on comments, docstrings or layout, and is
    computed once in a process. Raises FileNotFoundError for a room that is not there.
    """
    return _package_hash(None if rooms is None else tuple(sorted(set(rooms))), root)


@cache
def _package_hash(rooms: tuple[str, ...] | None, root: Path) -> str:
    digest = hashlib.sha256()
    for path in _files(rooms, root):
        for part in (path.relative_to(root).as_posix(), _normalised_file(path)):
            encoded = part.encode("utf-8")
            digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.hexdigest()


@cache
def _normalised_file(path: Path) -> str:
    return normalised_source(path.read_text("utf-8"))


def _files(rooms: tuple[str, ...] | None, root: Path) -> list[Path]:
    if rooms is None:
        return sorted(root.rglob("*.py"))
    found: list[Path] = []
    for room in rooms:
        here = sorted((root / room).rglob("*.py")) or [root / f"{room}.py"]
        if not here[0].is_file():
            raise FileNotFoundError(f"{root / room}: no such room or module of the package")
        found += here
    return sorted(found)
