"""A trial as bytes that another process can call, with all that the notebook's cells define around it."""

import functools
import io
import pickle
from collections import ChainMap
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import cloudpickle

TrialFunction = Callable[..., Mapping[str, Any]]
_Cached = type(functools.cache(len))


def dump_trial(trial: TrialFunction) -> bytes:
    """Bytes of a trial: what a module holds by its name, what a notebook's cells define by its content.

    Other than cloudpickle by itself this holds for a cell's function under `functools.cache`, too.
    """
    buffer = io.BytesIO()
    _TrialPickler(buffer).dump(trial)
    return buffer.getvalue()


def load_trial(pickled: bytes) -> TrialFunction:
    """The trial of `dump_trial`; a function under `functools.cache` starts with nothing cached."""
    trial: TrialFunction = pickle.loads(pickled)
    return trial


def _reduced(cached: Any) -> str | tuple[Any, ...]:
    if cached.__module__ != "__main__":
        return str(cached.__qualname__)
    return _cached_again, (cached.__wrapped__, cached.cache_parameters())


def _cached_again(function: Callable[..., Any], parameters: dict[str, Any]) -> Any:
    return functools.lru_cache(**parameters)(function)


class _TrialPickler(cloudpickle.Pickler):  # type: ignore[misc]  # it has no types
    dispatch_table: ClassVar = ChainMap({_Cached: _reduced}, cloudpickle.Pickler.dispatch_table)
