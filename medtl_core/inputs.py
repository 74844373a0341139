"""What a computation reads from outside of its arguments, such as a file of weights.

Whoever loads it says so (`used`); whoever keeps results asks what was used (`noting`) and, before a result is
taken again, what its content is now (`Input.digest`).
"""

import importlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

_collecting: ContextVar[tuple[set["Input"], ...]] = ContextVar("collecting", default=())


@dataclass(frozen=True, order=True)
class Input:
    """Something read by its name. `resolver` ("module:function") maps the name to a digest of its content."""

    resolver: str
    name: str

    def digest(self) -> str:
        """Digest of the content that the name means now; MedtlError where there is none."""
        module, _, function = self.resolver.partition(":")
        resolve: Callable[[str], str] = getattr(importlib.import_module(module), function)
        return resolve(self.name)


def used(resolver: Callable[[str], str], name: str) -> None:
    """Note that the computation reads `name`, whose content `resolver(name)` identifies."""
    note([Input(f"{resolver.__module__}:{resolver.__qualname__}", name)])


def note(inputs: Iterable[Input]) -> None:
    """Note inputs in every collection that is open (`noting`); without one, nothing happens."""
    inputs = list(inputs)
    for collection in _collecting.get():
        collection.update(inputs)


@contextmanager
def noting() -> Iterator[set[Input]]:
    """The inputs that the block uses: a set that fills up."""
    collection: set[Input] = set()
    token = _collecting.set((*_collecting.get(), collection))
    try:
        yield collection
    finally:
        _collecting.reset(token)
