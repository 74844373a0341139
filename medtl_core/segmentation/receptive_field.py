"""How far a network really looks: the effective receptive field (Luo et al. 2016)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from medtl_core.errors import MedtlError
from medtl_core.training.prediction import modes_of_evaluation

LUO_THRESHOLD = (
    1 - 0.9545
)  # of the centre's gradient; a pixel above it belongs to the field (Luo, section 4.1)


@dataclass(frozen=True)
class ReceptiveField:
    """`gradient` float64 (*size), 0 or more: how much each input pixel moves the centre of the output."""

    gradient: NDArray[np.float64]

    @property
    def centre(self) -> tuple[int, ...]:
        """Position of the output that was watched."""
        return tuple(side // 2 for side in self.gradient.shape)

    @property
    def reached(self) -> float:
        """Share of all input pixels with any influence, 0 to 1."""
        return float((self.gradient > 0).mean())

    @property
    def luo_size(self) -> float:
        """Side, in pixels, of a square or cube as large as the area above 4.55 % of the centre's gradient."""
        above = self.gradient > LUO_THRESHOLD * self.gradient[self.centre]
        return float(above.sum() ** (1 / self.gradient.ndim))

    @property
    def spread(self) -> float:
        """Standard deviation of the gradient's mass along an axis, in pixels, averaged over the axes.

        n convolutions of equal weights and kernel k have sqrt(n (k^2 - 1) / 12) (section 2.1 of the paper). A
        gradient that is the same for all pixels has sqrt((side^2 - 1) / 12).
        """
        places = np.indices(self.gradient.shape).reshape(self.gradient.ndim, -1)
        away = places - np.array(self.centre)[:, None]
        variances = np.square(away) @ self.gradient.ravel() / self.gradient.sum()
        return float(np.sqrt(variances).mean())

    def outside(self, box: int) -> float:
        """Share of the gradient's mass outside the centred box of `box` pixels (odd) a side, 0 to 1."""
        inner = tuple(slice(max(0, c - box // 2), c + box // 2 + 1) for c in self.centre)
        return 1 - float(self.gradient[inner].sum() / self.gradient.sum())


def effective_receptive_field(
    make: Callable[[int], nn.Module], shape: tuple[int, ...], *, draws: int = 10, seed: int
) -> ReceptiveField:
    """|Gradient| of the centre output with respect to the input, averaged over `draws` random inputs.

    make: the module for a seed, drawn anew for each input; a trained network is measured with a function
    that always gives it. shape: (C, *size) of the inputs, from N(0, 1). The gradient is that of the sum over
    output channels; its absolute values are summed over input channels. The module runs in evaluation mode,
    must keep the size, and gets its mode back. Raises MedtlError for a module that changes the size and for
    one whose centre does not depend on the input.
    """
    if draws < 1 or len(shape) not in (3, 4):
        raise MedtlError(
            f"receptive field: {draws} draws of {shape}, expected 1 or more of (C, H, W) or (C, D, H, W)"
        )
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros(shape[1:], dtype=torch.float64)
    centre = tuple(side // 2 for side in shape[1:])
    for draw in range(draws):
        module = make(seed + draw)
        x = torch.randn(1, *shape, generator=generator).requires_grad_()
        with modes_of_evaluation(module):
            y = module(x)
        if y.shape[2:] != x.shape[2:]:
            raise MedtlError(
                f"receptive field: outputs {tuple(y.shape[2:])} for inputs {shape[1:]}, expected one size"
            )
        (gradient,) = torch.autograd.grad(y[(0, slice(None), *centre)].sum(), x)
        total += gradient[0].abs().sum(0).double()
    if not total.sum() > 0:
        raise MedtlError("receptive field: the centre of the output does not depend on the input")
    return ReceptiveField((total / draws).numpy())
