"""Fingerprint of a function written in a notebook or a script: its source and all that it uses."""

import dataclasses
import functools
import hashlib
import inspect
import linecache
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from medtl_core.errors import MedtlError
from medtl_core.source_hash import PACKAGE, normalised_source
from medtl_core.study.bytecode import code_text, global_chains, imports
from medtl_core.study.source_closure import EVERYTHING, Place

_PLAIN = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis), range, slice)
_SCALARS = (bool, int, float, str)
_CLASS_NOISE = {
    *("__module__", "__qualname__", "__doc__", "__dict__", "__weakref__", "__firstlineno__"),
    *("__static_attributes__", "__abstractmethods__", "_abc_impl"),
}


@dataclass
class Fingerprint:
    """What decides what a function does.

    digest: SHA-256 (hex) of its source and of what it uses that is neither installed nor in this package;
    roots: the definitions of this package that it names; libraries: the installed packages that it names, by
    their import name; settings: the plain variables (numbers, texts, lists of them) in lower case that it
    uses from its notebook, by name.
    """

    digest: str = ""
    roots: set[Place] = field(default_factory=set)
    libraries: set[str] = field(default_factory=set)
    settings: dict[str, Any] = field(default_factory=dict)


def fingerprint(function: Callable[..., Any]) -> Fingerprint:
    """The fingerprint of a plain function.

    Followed are functions, classes, default arguments, enclosed variables and globals with their values:
    numbers, text, containers, arrays, tensors, archives, dataclasses, and whatever else can be pickled. An
    object with a `checksum` (such as an archive) counts by it. Comments, docstrings and layout do not count.
    Raises MedtlError, naming it, for a value that has no fingerprint (an open file, a lock), and for a random
    generator, whose state depends on what ran before.
    """
    if not isinstance(function, FunctionType):
        raise MedtlError(f"trial is a {type(function).__name__}, expected a plain function (def)")
    walk = _Walk()
    walk.add(function, f"{function.__name__}()")
    walk.found.digest = walk.digest.hexdigest()
    return walk.found


def _is_local(module_name: str) -> bool:
    """Whether a module belongs to the user: neither this package nor installed."""
    top = module_name.partition(".")[0]
    if top == "__main__":
        return True
    if top == PACKAGE.name or top in sys.stdlib_module_names:
        return False
    file = getattr(sys.modules.get(module_name), "__file__", None)
    return file is not None and not {"site-packages", "dist-packages"} & set(Path(file).parts)


def _is_torch(value: Any, name: str) -> bool:
    """Whether `value` is an instance of `torch.<name>`; torch is not imported for the question."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, getattr(torch, name))


def _is_setting(name: str, value: Any) -> bool:
    plain = isinstance(value, _SCALARS) or (
        isinstance(value, list) and all(isinstance(item, _SCALARS) for item in value)
    )
    return plain and name.islower() and not name.startswith("_")


class _Walk:
    """Feeds a value, and what it refers to, into one digest."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self.found = Fingerprint()
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
        elif _is_torch(value, "Tensor"):
            flat = value.detach().cpu().contiguous().reshape(-1)
            self._text("tensor", str(value.dtype), str(tuple(value.shape)))
            self.digest.update(flat.view(sys.modules["torch"].uint8).numpy().tobytes())
        elif isinstance(checksum := getattr(value, "checksum", None), str) and not isinstance(value, type):
            self._text("checksum", checksum)
            self.add(type(value), place)
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
        module = function.__globals__.get("__name__", "__main__")
        if not _is_local(module):
            self._text("installed", function.__module__ or "", function.__qualname__)
            self._installed(function.__module__ or module, function.__qualname__)
            if hasattr(function, "__wrapped__"):  # an installed decorator around a function of the user's
                self.add(function.__wrapped__, place)
            if module.startswith(
                f"{PACKAGE.name}."
            ):  # a function that this package made, with what it encloses
                self.add((function.__defaults__, function.__kwdefaults__), f"a default argument of {place}")
                for cell in function.__closure__ or ():
                    with suppress(ValueError):
                        self.add(cell.cell_contents, place)
            return
        code = function.__code__
        self._text("function", code_text(code))
        self.add((function.__defaults__, function.__kwdefaults__), f"a default argument of {place}")
        enclosed = dict(zip(code.co_freevars, function.__closure__ or (), strict=True))
        chains = global_chains(code)
        for name in sorted({chain[0] for chain in chains} | set(enclosed)):
            if name in enclosed:
                with suppress(ValueError):  # enclosed, but without a value so far
                    self._use(name, enclosed[name].cell_contents, chains, function)
            elif name in function.__globals__:
                value = function.__globals__[name]
                self._use(name, value, chains, function)
                if _is_setting(name, value):
                    self.found.settings[name] = value
        for module, name in sorted(imports(code)):
            if _is_local(module) and module in sys.modules:
                self.add(sys.modules[module], module)
            else:
                self._installed(module, name)

    def _use(self, name: str, value: Any, chains: frozenset[tuple[str, ...]], function: FunctionType) -> None:
        """Add what a name means; of a module of this package just the attributes that are taken of it."""
        self._text("name", name)
        if not isinstance(value, ModuleType) or value.__name__.partition(".")[0] != PACKAGE.name:
            self.add(value, f"{name!r} (used by {function.__qualname__}())")
            return
        for chain in sorted(chain for chain in chains if chain[0] == name):
            module, attributes = value, list(chain[1:])
            while attributes and isinstance(inner := getattr(module, attributes[0], None), ModuleType):
                module = inner
                attributes.pop(0)
            self._installed(module.__name__, attributes[0] if attributes else EVERYTHING)

    def _installed(self, module: str, qualified_name: str) -> None:
        """Note a name of this package, or of an installed one."""
        top = module.partition(".")[0]
        if top == PACKAGE.name:
            self.found.roots.add((module, qualified_name.partition(".")[0]))
        elif top and top not in sys.stdlib_module_names and top != "__main__":
            self.found.libraries.add(top)

    def _class(self, kind: type, place: str) -> None:
        self._text("class", kind.__module__, kind.__qualname__)
        if not _is_local(kind.__module__):
            self._installed(kind.__module__, kind.__qualname__)
        else:
            self.add(kind.__bases__, place)
            for name, value in vars(kind).items():
                slot = inspect.ismemberdescriptor(value) or inspect.isgetsetdescriptor(value)
                if name not in _CLASS_NOISE and not slot:
                    self._text("attribute", name)
                    self.add(value, f"{kind.__qualname__}.{name}")

    def _module(self, module: ModuleType, place: str) -> None:
        self._text("module", module.__name__)
        if not _is_local(module.__name__):
            self._installed(module.__name__, EVERYTHING)
        if _is_local(module.__name__) and module.__file__:
            self._text(normalised_source("".join(linecache.getlines(module.__file__))))
            for value in list(vars(module).values()):
                if isinstance(value, ModuleType):
                    self.add(value, place)

    def _state(self, value: Any, place: str) -> None:
        """Any other object: its class and the state that pickle would keep."""
        if isinstance(value, np.random.Generator | np.random.RandomState) or _is_torch(value, "Generator"):
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
