"""Label efficiency: how many labelled images one method needs for what another reaches."""

from collections.abc import Sequence

import numpy as np

from medtl_core.errors import MedtlError


def labels_needed(target: float, sizes: Sequence[int], values: Sequence[float]) -> tuple[float, bool]:
    """Training size at which a learning curve reaches `target`, and whether it is censored.

    The curve is made monotone (its running maximum) and read off linearly over log2 of the size. A curve that
    starts above the target needs at most the smallest size, one that never reaches it more than the largest:
    both are censored, and that end is returned.

    Args:
        sizes: training sizes, rising, at least one.
        values: what the method reaches at each, higher is better.
    """
    if len(sizes) != len(values) or not len(sizes) or np.any(np.diff(sizes) <= 0) or sizes[0] < 1:
        raise MedtlError(
            f"learning curve: {len(sizes)} sizes {list(sizes)} and {len(values)} values, "
            "expected rising sizes and one value for each"
        )
    reached = np.maximum.accumulate(values)
    if reached[0] >= target or reached[-1] < target:
        return float(sizes[0] if reached[0] >= target else sizes[-1]), True
    above = int(np.argmax(reached >= target))
    share = (target - reached[above - 1]) / (reached[above] - reached[above - 1])
    low, high = np.log2(sizes[above - 1]), np.log2(sizes[above])
    return float(2 ** (low + share * (high - low))), False
