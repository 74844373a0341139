"""Records written before they said whether their images are synthetic and how the study was configured."""

from collections.abc import Mapping
from typing import Any

ADDED = ("synthetic", "configuration")


def completed(row: Any) -> dict[str, Any]:
    """A record's row with `synthetic` and `configuration`, as read from a file of either layout.

    A row of the old layout holds neither of the two fields. By the convention of that layout a data set is
    synthetic exactly if its name begins with `phantoms`; its configuration was not written down. A row with
    one of the two is returned as it is, for the reader to refuse. TypeError for anything but a mapping.
    """
    if not isinstance(row, Mapping):
        raise TypeError(f"{type(row).__name__} instead of a mapping")
    if any(name in row for name in ADDED):
        return dict(row)
    return {**row, "synthetic": str(row.get("dataset", "")).startswith("phantoms"), "configuration": {}}
