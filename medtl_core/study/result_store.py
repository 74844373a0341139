"""Finished results in one folder, found by their keys: a JSON file each, arrays beside it, and their inputs.

A result's recipe (`cache_key.recipe_key`) is known before it is computed; which inputs it loads is known only
after. So `<recipe>.inputs` lists them, and the key of the result follows from both.
"""

import hashlib
import json
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from medtl_core.errors import MedtlError
from medtl_core.files import read_arrays, read_json, sweep_parts, write_arrays, write_json
from medtl_core.inputs import Input
from medtl_core.study.cache_key import result_key

_WHAT = "the result that its name says"
_REMEDY = "delete it and run again"


class ResultStore:
    """One folder of results, shared by all runs.

    A result has finished if, and only if, its `<key>.json` stands there: it is written last. Raises
    MedtlError if the folder cannot be made or written to.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.folder, prefix=".part-"):
                pass  # found out before hours of training, not after
            sweep_parts(self.folder)
        except OSError as error:
            raise MedtlError(
                f"{self.folder}: results cannot be kept here ({error.strerror or error}); "
                "set MEDTL_STORE to a folder that can be written to"
            ) from error

    def key(self, recipe: str) -> str | None:
        """The key of a recipe's result, by what its inputs hold now; None if it was never computed."""
        inputs = self.inputs(recipe)
        return None if inputs is None else result_key(recipe, inputs)

    def inputs(self, recipe: str) -> list[Input] | None:
        """What the result of a recipe loads by name; None if it was never computed."""
        path = self.folder / f"{recipe}.inputs"
        if not path.is_file():
            return None
        return read_json(
            path,
            lambda rows: [Input(str(resolver), str(name)) for resolver, name in rows],
            expected="a list of inputs",
            remedy=_REMEDY,
        )

    def has(self, key: str) -> bool:
        """Whether the result of this key has finished."""
        return (self.folder / f"{key}.json").is_file()

    def keep(
        self,
        recipe: str,
        inputs: Iterable[Input],
        content: Mapping[str, Any],
        arrays: Mapping[str, np.ndarray] | None = None,
    ) -> str:
        """Keep a result and return its key; MedtlError if there is no space or no right to write."""
        known = sorted({*inputs, *(self.inputs(recipe) or [])})
        key = result_key(recipe, known)
        digest = None
        if arrays is not None:
            path = self.folder / f"{key}.npz"
            write_arrays(path, arrays)
            digest = _digest(path)
        write_json(self.folder / f"{recipe}.inputs", [[i.resolver, i.name] for i in known])
        write_json(self.folder / f"{key}.json", {**content, "key": key, "arrays": digest})
        return key

    def read(self, key: str, expected: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Content and arrays of a result.

        Raises MedtlError if a file is missing or damaged, or is not the one that it claims to be: its key,
        what is `expected` of its content, and the digest of its arrays have to agree.
        """
        path = self.folder / f"{key}.json"
        wanted = {**expected, "key": key}
        content = read_json(path, lambda found: _claimed(found, wanted), expected=_WHAT, remedy=_REMEDY)
        if content["arrays"] is None:
            return content, {}
        stored = path.with_suffix(".npz")
        arrays = read_arrays(stored, expected=_WHAT, remedy=_REMEDY)
        if _digest(stored) != content["arrays"]:
            raise MedtlError(f"{stored}: found other arrays than {path.name} names; {_REMEDY}")
        return content, arrays


def _claimed(found: dict[str, Any], expected: Mapping[str, Any]) -> dict[str, Any]:
    for name, value in expected.items():
        if json.loads(json.dumps(value)) != found[name]:
            raise ValueError(f"{name} is {found[name]!r} and not {value!r}")
    return {**found, "arrays": found["arrays"]}


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
