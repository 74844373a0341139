"""Random halves of a set that keep the images of one patient together."""

import numpy as np
from numpy.typing import NDArray

from medtl_core.errors import MedtlError

Index = NDArray[np.intp]


def halves(count: int, groups: NDArray[np.generic] | None, rng: np.random.Generator) -> tuple[Index, Index]:
    """Positions of two disjoint sets of the same size, at most `count` / 2; no group (N,) is in both.

    Groups are taken in random order until half of the cases is reached. MedtlError for groups of another
    length, and where a set would hold fewer than two cases.
    """
    group = np.arange(count) if groups is None else np.asarray(groups)
    if group.shape != (count,):
        raise MedtlError(f"groups: shape {group.shape}, expected ({count},), one for each image")
    _, number = np.unique(group, return_inverse=True)
    place = rng.permutation(number.max() + 1)
    order = rng.permutation(count)
    order = order[np.argsort(place[number[order]], kind="stable")]
    ends = np.flatnonzero(np.diff(number[order])) + 1  # where a new group begins
    if len(ends) == 0:
        raise MedtlError("halves: one group only, expected at least 2; give images of more patients")
    cut = int(ends[np.abs(ends - count / 2).argmin()])
    size = min(cut, count - cut)
    if size < 2:
        raise MedtlError(
            f"halves: {size} case in the smaller one of {count}, expected at least 2; give more images"
        )
    return rng.permutation(order[:cut])[:size], rng.permutation(order[cut:])[:size]
