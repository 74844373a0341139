"""What a method hands back before it is put in a common form."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Attribution(NamedTuple):
    """maps: float (N, H, W), detached; grid: cells (h, w) that the method really resolves.

    A method on superpixels gives (largest number of superpixels, 1).
    """

    maps: Tensor
    grid: tuple[int, int]
