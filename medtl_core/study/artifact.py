"""Artefacts: arrays that several trials need, such as features of a trained network, made once and kept."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from filelock import FileLock

from medtl_core.errors import MedtlError
from medtl_core.inputs import note, noting
from medtl_core.settings import store_folder
from medtl_core.study.cache_key import reach, recipe_key
from medtl_core.study.result_store import ResultStore
from medtl_core.study.seeding import device_kind, seeded


@dataclass(frozen=True)
class Artifact:
    """A function `make(*arguments, seed) -> {name: array}` whose products are kept.

        features = Study.artifact(fine_tuned_features)
        features("chest", seed)["test"]

    A product is kept under the same kind of key as a trial, made once even if several processes ask for it
    at the same time, and read from then on. A trial that names the artefact has `make` and all that it
    reaches in its own key. `make` runs with everything seeded by `seed`, its last argument; the others are
    text, numbers or booleans.
    """

    make: Callable[..., Mapping[str, np.ndarray]]

    def __call__(self, *arguments: str | int | float | bool) -> dict[str, np.ndarray]:
        """The arrays for these arguments, of which the last one is the seed.

        Raises MedtlError for a product that is not arrays by name, and for a damaged file.
        """
        given = [value.item() if isinstance(value, np.generic) else value for value in arguments[:-1]]
        seed = arguments[-1]
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
            raise MedtlError(f"artefact {self.name}: the last argument is {seed!r}, expected the seed")
        identity = {"name": self.name, "arguments": given, "seed": int(seed)}
        store = ResultStore(store_folder() / "artefacts")
        reached = reach(self.make)
        if "torch" in reached.versions:
            import torch  # noqa: F401 - a process that has imported it seeds it, too
        recipe = recipe_key(reached, **identity, device=device_kind())
        with FileLock(store.folder / f".{recipe}.lock"):
            key = store.key(recipe)
            if key is None or not store.has(key):
                key = self._produce(store, recipe, identity)
            _, arrays = store.read(key, identity)
            note(store.inputs(recipe) or [])
        return arrays

    @property
    def name(self) -> str:
        """The function's name."""
        return self.make.__name__

    def _produce(self, store: ResultStore, recipe: str, identity: dict[str, Any]) -> str:
        started = time.perf_counter()
        with noting() as inputs, seeded(identity["seed"]):
            made = self.make(*identity["arguments"], identity["seed"])
        if not isinstance(made, Mapping) or not made:
            raise MedtlError(f"artefact {self.name}: made {type(made).__name__}, expected arrays by name")
        arrays = {str(name): np.asarray(array) for name, array in made.items()}
        if objects := [name for name, array in arrays.items() if array.dtype.hasobject]:
            raise MedtlError(f"artefact {self.name}: {objects[0]!r} holds objects, expected numbers or text")
        content = identity | {"seconds": time.perf_counter() - started}
        return store.keep(recipe, inputs, content, arrays)
