"""Groups: the cases of one patient or lesion, and cases of which nobody knows whose they are."""

import numpy as np
from numpy.typing import NDArray

UNKNOWN = ("", "nan", "none", "null", "<na>")
"""What stands for an unknown patient, in any case of letters: no text, and what tables write for none."""


def is_unknown(groups: NDArray[np.str_]) -> NDArray[np.bool_]:
    """(N,) whether the group of a case is unknown."""
    distinct, position = np.unique(groups, return_inverse=True)
    return np.array([text.strip().casefold() in UNKNOWN for text in distinct.tolist()], bool)[position]


def group_ids(groups: NDArray[np.str_]) -> NDArray[np.int64]:
    """(N,) one integer per group, from 0 without gaps; each case of an unknown group has one of its own."""
    unknown = is_unknown(groups)
    ids = np.empty(len(groups), dtype=np.int64)
    known, ids[~unknown] = np.unique(groups[~unknown], return_inverse=True)
    ids[unknown] = len(known) + np.arange(unknown.sum())
    return ids
