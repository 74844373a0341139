"""The space in which source and target meet: the source cases there, and the way in for target cases."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medtl_core.errors import MedtlError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class CommonSpace:
    """`source` (n, q), in the order of its rows; `target_map` takes target cases (k, d) to (k, q)."""

    source: Array
    target_map: Callable[[Array], Array]


def check_components(components: int, source: Array, target: Array) -> None:
    """MedtlError unless 1 <= components <= d, and each domain has more cases than components."""
    n, m, width = len(source), len(target), source.shape[1]
    if not 1 <= components <= width:
        raise MedtlError(f"subspace: {components} components of {width} dimensions, expected 1 to {width}")
    if min(n, m) <= components:
        side, cases = ("target", m) if m <= n else ("source", n)
        raise MedtlError(
            f"subspace: the {side} has {cases} cases, expected more than the {components} components; "
            "take fewer components"
        )
