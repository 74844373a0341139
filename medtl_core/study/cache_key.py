"""The key of a result: a hash of everything that decides it.

A key changes with the function's source and with what it uses from its notebook or script; with the
definitions of this package that it reaches, and no others (`source_closure`); with the versions of the
libraries that those use; with the arguments, the data and the kind of device; and with the content of what
the computation loads by name, such as a file of weights (`inputs`). It does not change with comments,
docstrings or layout, nor with how trials are executed or judged.
"""

import functools
import hashlib
import importlib.metadata
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from packaging.requirements import Requirement

from medtl_core.inputs import Input
from medtl_core.study.fingerprint import fingerprint
from medtl_core.study.source_closure import Closure, Place, package_source

# What every result rests on, although no trial names it.
_ALWAYS: tuple[Place, ...] = (("medtl_core.study.seeding", "seeded"),)
# What other libraries compute with.
_ENGINES = ("numpy", "scipy", "torch", "torchvision")

package_source()  # read now: what runs is the code that was imported, even if files change under a kernel


@dataclass(frozen=True)
class Reach:
    """What a function reaches: `digest` of its own source, the package's part, and the settings that it uses.

    settings: plain lower-case variables of its notebook by name (`fingerprint.Fingerprint`).
    """

    digest: str
    closure: Closure
    libraries: frozenset[str]
    settings: dict[str, Any]

    @property
    def versions(self) -> dict[str, str]:
        """Version of each installed library that is reached, by its distribution's name."""
        return library_versions(self.libraries)


def reach(function: Callable[..., Any]) -> Reach:
    """What `function` reaches. MedtlError for what has no fingerprint, and for source changed on disk."""
    found = fingerprint(function)
    source = package_source()
    closure = source.closure(found.roots)
    source.require_unchanged_if_not_loaded(closure.modules)
    libraries = frozenset(found.libraries | closure.libraries)
    return Reach(found.digest, closure, libraries, found.settings)


def recipe_key(reached: Reach, **arguments: Any) -> str:
    """Key of a result but for its inputs, 32 hexadecimal digits; `arguments` are plain values or mappings."""
    parts = {
        "source": reached.digest,
        "package": [reached.closure.digest, package_source().closure(_ALWAYS).digest],
        "libraries": reached.versions,
        "arguments": arguments,
    }
    return _hash(parts)


def result_key(recipe: str, inputs: Iterable[Input]) -> str:
    """Key of a result, 32 hexadecimal digits: its recipe, and what its inputs hold now."""
    return _hash({"recipe": recipe, "inputs": [[i.resolver, i.name, i.digest()] for i in sorted(inputs)]})


def library_versions(imported: Iterable[str]) -> dict[str, str]:
    """Versions of the distributions that have these import names, and of the engines that those require."""
    names = _distributions()
    found = {name for top in imported for name in names.get(top, ())}
    engines = {needed for name in found for needed in _requires(name) if needed in _ENGINES}
    return {name: _version(name) for name in sorted(found | engines)}


@functools.cache  # what runs is what was imported, and parsing a distribution's metadata takes milliseconds
def _version(distribution: str) -> str:
    return importlib.metadata.version(distribution)


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


@functools.cache
def _requires(distribution: str) -> tuple[str, ...]:
    required = importlib.metadata.requires(distribution) or []
    return tuple(found.name for line in required if not (found := Requirement(line)).marker)


def _hash(parts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]
