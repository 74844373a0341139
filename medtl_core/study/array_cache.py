"""Arrays that several trials need, such as the features of one fine-tuned network: made once, then read."""

import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from medtl_core.errors import MedtlError
from medtl_core.files import write_atomically
from medtl_core.settings import store_folder


def kept_arrays(key: str, make: Callable[[], Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays kept under `key` in the folder of finished trials; where there are none, `make` makes them.

    `key` names everything that they are made from, as `keys.trial_key` does; arrays hold numbers or text. The
    file appears whole or not at all, so that several processes may ask for one key. Raises MedtlError if the
    folder cannot be written to or the file is damaged.
    """
    file = store_folder() / "arrays" / f"{key}.npz"
    if not file.is_file():
        made: dict[str, Any] = dict(make())
        write_atomically(file, lambda out: np.savez_compressed(out, **made))
    try:
        with np.load(file, allow_pickle=False) as kept:
            return {name: kept[name] for name in kept.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise MedtlError(
            f"{file}: found a damaged file of kept arrays ({error}), expected a whole .npz; "
            "delete it and run again"
        ) from error
