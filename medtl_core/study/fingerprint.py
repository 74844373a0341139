"""Fingerprint of a function written in a notebook or a script: its source and all that it uses from there."""

import ast
import dataclasses
import dis
import functools
import hashlib
import inspect
import linecache
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch

from medtl_core.data.archives.archive import Archive
from medtl_core.errors import MedtlError
from medtl_core.source_hash import PACKAGE, normalised_source

_PLAIN = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis), range, slice)
_RANDOM = (np.random.Generator, np.random.RandomState, torch.Generator)
_CLASS_NOISE = {
    *("__module__", "__qualname__", "__doc__", "__dict__", "__weakref__", "__firstlineno__"),
    *("__static_attributes__", "__abstractmethods__", "_abc_impl"),
}


def fingerprint(function: Callable[..., Any]) -> str:
    """SHA-256 (hex) of a plain function and of what it uses that is neither installed nor in this package.

    Followed are functions, classes, default arguments, enclosed variables and globals with their values:
    numbers, text, containers, arrays, tensors, archives, dataclasses, and whatever else can be pickled.
    Comments, docstrings and layout do not count. Raises MedtlError, naming it, for a value that has no
    fingerprint (an open file, a lock), and for a random generator, whose state depends on what ran before.
    """
    if not isinstance(function, FunctionType):
        raise MedtlError(f"trial is a {type(function).__name__}, expected a plain function (def)")
    walk = _Walk()
    walk.add(function, f"{function.__name__}()")
    return walk.digest.hexdigest()


@functools.lru_cache(maxsize=64)
def _functions(text: str) -> dict[tuple[str, int], list[str]]:
    """Normalised source of each function of a file or cell, by name and first line (decorators included)."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return {}
    found: dict[tuple[str, int], list[ast.AST]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            line = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            found.setdefault((node.name, line), []).append(node)
        elif isinstance(node, ast.Lambda):
            found.setdefault(("<lambda>", node.lineno), []).append(node)
    return {place: [normalised_source(ast.unparse(n)) for n in nodes] for place, nodes in found.items()}


def _code_text(code: CodeType) -> str:
    """Source of a function as Python keeps it for files and notebook cells, else bytecode and constants."""
    text = "".join(linecache.getlines(code.co_filename))
    source = _functions(text).get((code.co_name, code.co_firstlineno))
    if source:
        return "\n".join(source)
    nested = [_code_text(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return repr((code.co_code, code.co_names, code.co_varnames, nested))


def _global_names(code: CodeType) -> set[str]:
    names = {i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    return names.union(*(_global_names(c) for c in code.co_consts if isinstance(c, CodeType)))


def _is_local(module_name: str) -> bool:
    """Whether a module belongs to the user: neither this package nor installed."""
    top = module_name.partition(".")[0]
    if top == "__main__":
        return True
    if top == PACKAGE.name or top in sys.stdlib_module_names:
        return False
    file = getattr(sys.modules.get(module_name), "__file__", None)
    return file is not None and not {"site-packages", "dist-packages"} & set(Path(file).parts)


class _Walk:
    """Feeds a value, and what it refers to, into one digest."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self._seen: dict[int, tuple[int, object]] = {}  # keeps the objects alive, so that ids stay theirs

    def add(self, value: Any, place: str) -> None:
        if type(value) in _PLAIN:
            self._text(type(value).__name__, repr(value))
        elif id(value) in self._seen:
            self._text("seen", str(self._seen[id(value)][0]))
        else:
            self._seen[id(value)] = (len(self._seen), value)
            self._add_object(value, place)

    def _add_object(self, value: Any, place: str) -> None:
        if isinstance(value, np.ndarray | np.generic) and not value.dtype.hasobject:
            self._text("array", value.dtype.str, str(value.shape))
            self.digest.update(np.ascontiguousarray(value).tobytes())
        elif isinstance(value, torch.Tensor):
            flat = value.detach().cpu().contiguous().reshape(-1)
            self._text("tensor", str(value.dtype), str(tuple(value.shape)))
            self.digest.update(flat.view(torch.uint8).numpy().tobytes())
        elif isinstance(value, Archive):
            self._text("archive", value.checksum)
        elif isinstance(value, Mapping):
            self._text("mapping", type(value).__qualname__, str(len(value)))
            for key, item in value.items():
                self.add(key, place)
                self.add(item, f"{place}[{key!r}]")
        elif isinstance(value, list | tuple):
            self._text(type(value).__qualname__, str(len(value)))
            for index, item in enumerate(value):
                self.add(item, f"{place}[{index}]")
        elif isinstance(value, set | frozenset):
            self._text("set", *sorted(repr(item) for item in value))
        elif isinstance(value, FunctionType):
            self._function(value, place)
        elif isinstance(value, type):
            self._class(value, place)
        elif isinstance(value, ModuleType):
            self._module(value, place)
        elif isinstance(value, staticmethod | classmethod | MethodType):
            self._text(str(type(value)))
            self.add(value.__func__, place)
            self.add(getattr(value, "__self__", None), place)
        elif isinstance(value, property):
            self.add((value.fget, value.fset, value.fdel), place)
        elif isinstance(value, functools.cached_property):
            self.add(value.func, place)
        elif not isinstance(value, BuiltinFunctionType) and hasattr(value, "__wrapped__"):
            self.add(value.__wrapped__, place)
        else:
            self._state(value, place)

    def _text(self, *texts: str) -> None:
        for text in texts:
            data = text.encode()
            self.digest.update(f"{len(data)}:".encode() + data)

    def _function(self, function: FunctionType, place: str) -> None:
        if not _is_local(function.__globals__.get("__name__", "__main__")):
            self._text("installed", function.__module__ or "", function.__qualname__)
            if hasattr(function, "__wrapped__"):  # an installed decorator around a function of the user's
                self.add(function.__wrapped__, place)
            return
        code = function.__code__
        self._text("function", _code_text(code))
        self.add((function.__defaults__, function.__kwdefaults__), f"a default argument of {place}")
        known = {n: function.__globals__[n] for n in _global_names(code) if n in function.__globals__}
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            with suppress(ValueError):  # enclosed, but without a value so far
                known[name] = cell.cell_contents
        for name in sorted(known):
            self._text("name", name)
            self.add(known[name], f"{name!r} (used by {function.__qualname__}())")

    def _class(self, kind: type, place: str) -> None:
        self._text("class", kind.__module__, kind.__qualname__)
        if _is_local(kind.__module__):
            self.add(kind.__bases__, place)
            for name, value in vars(kind).items():
                slot = inspect.ismemberdescriptor(value) or inspect.isgetsetdescriptor(value)
                if name not in _CLASS_NOISE and not slot:
                    self._text("attribute", name)
                    self.add(value, f"{kind.__qualname__}.{name}")

    def _module(self, module: ModuleType, place: str) -> None:
        self._text("module", module.__name__)
        if _is_local(module.__name__) and module.__file__:
            self._text(normalised_source("".join(linecache.getlines(module.__file__))))
            for value in list(vars(module).values()):
                if isinstance(value, ModuleType):
                    self.add(value, place)

    def _state(self, value: Any, place: str) -> None:
        """Any other object: its class and the state that pickle would keep."""
        if isinstance(value, _RANDOM):
            raise MedtlError(
                f"the trial uses the random generator {place}, whose state depends on what ran before; "
                "make it inside the trial from the seed"
            )
        if dataclasses.is_dataclass(value):  # its fields, not what it may have cached since
            self.add(type(value), place)
            for field in dataclasses.fields(value):
                self.add(getattr(value, field.name), f"{place}.{field.name}")
            return
        try:
            state = value.__reduce_ex__(4)
        except (TypeError, AttributeError, NotImplementedError) as error:
            raise MedtlError(
                f"the trial uses {place}, a {type(value).__name__}, which has no fingerprint; "
                "make it inside the trial, or pass what it is made from as a factor"
            ) from error
        if isinstance(state, str):
            self._text("named", type(value).__module__, state)
            return
        self._text("object")
        for part in state:
            self.add(list(part) if hasattr(part, "__next__") else part, place)
