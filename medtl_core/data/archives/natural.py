"""What people have as the arrays of an archive: lists, tensors and columns of pandas become NumPy arrays."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from medtl_core.data.archives.checks import described, refusal
from medtl_core.files import one_line


def as_arrays(content: Mapping[str, Any], source: str) -> dict[str, np.ndarray]:
    """Each value as an array of numbers or of fixed-width text, whatever kept it; arrays stay as they are.

    Text in Python objects or in NumPy's variable-width type, as pandas has it, becomes fixed-width text. A
    patient that is missing there (None, NaN) is unknown: "". Anything else is left for `check_arrays`.

    Args:
        source: what a message calls the archive.

    Raises:
        MedtlError: a value that makes no array, such as images of different sizes; numbers as patients.
    """
    arrays = {key: _plain_text(_as_array(value, key, source), key) for key, value in content.items()}
    for key in ("groups", "domains", "splits"):
        if key in arrays and arrays[key].dtype.kind in "iuf":
            raise refusal(
                source, key, described(arrays[key]), "text, one per image; .astype(str) makes it so"
            )
    return arrays


def _as_array(value: Any, key: str, source: str) -> np.ndarray:
    if isinstance(value, np.ndarray):  # a mapped file stays mapped
        return value
    try:
        return np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:  # ragged lists; a tensor that is not on the CPU
        raise refusal(
            source,
            key,
            f"values that make no array ({one_line(error)})",
            "one array; bring them to one shape",
        ) from error


def _plain_text(array: np.ndarray, key: str) -> np.ndarray:
    if array.dtype.kind == "T":
        array = array.astype(object)
    if array.dtype != object:
        return array
    entries = ["" if key == "groups" and _missing(entry) else entry for entry in array.ravel().tolist()]
    if not all(isinstance(entry, str) for entry in entries):
        return array
    return np.array(entries, np.str_).reshape(array.shape)


def _missing(entry: object) -> bool:
    return entry is None or (isinstance(entry, float) and np.isnan(entry)) or type(entry).__name__ == "NAType"
