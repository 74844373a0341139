"""Basic transforms of grey values: noise, blur, brightness, gamma and contrast; masks stay as they are.

x is (N, C, H, W) or (N, C, D, H, W) in 0 to 1, and the result stays in that range. Each image has its own
draw. Channels have their own noise: a grey image that is stored in three channels would become coloured, and
is better handed over in one.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from medtl_core.augmentation.sampling import uniform
from medtl_core.augmentation.smoothing import along_axes, gaussian_matrices

LARGEST_GAUSSIAN_NOISE = 0.1  # standard deviation, as a share of the full range
LARGEST_SPECKLE_NOISE = 0.2  # standard deviation, as a share of the grey value
LARGEST_POISSON_NOISE = 0.1  # standard deviation in a white pixel: at least 100 quanta
LARGEST_BLUR = 2 / 64  # standard deviation, as a share of the smaller side
LARGEST_BRIGHTNESS = 0.3  # shift
LARGEST_GAMMA = 0.5  # change of an exponent of 1
LARGEST_CONTRAST = 0.5  # relative change of the distance from the mean


def gaussian_noise(x: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Additive normal noise; its standard deviation is drawn from 0 to .1 times `strength`."""
    level = _per_image(x, 0, LARGEST_GAUSSIAN_NOISE * strength, generator)
    return _normal(x, generator).mul_(level).add_(x).clamp_(0, 1)


def speckle_noise(x: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Normal noise in proportion to the grey value, x (1 + n), as of ultrasound and radar.

    The standard deviation of n is drawn from 0 to .2 times `strength`.
    """
    level = _per_image(x, 0, LARGEST_SPECKLE_NOISE * strength, generator)
    return _normal(x, generator).mul_(level).add_(1).mul_(x).clamp_(0, 1)


def poisson_noise(x: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Counts of quanta instead of grey values: a white pixel stands for q quanta, Poisson(q x) / q.

    1 / sqrt(q), the relative noise of a white pixel, is drawn from 0 to .1 times `strength`.
    """
    # Below a thousandth nothing is to be seen, and single precision no longer counts the quanta.
    level = _per_image(x, 0, LARGEST_POISSON_NOISE * strength, generator).clamp_min(1e-3)
    return count_quanta(x, level**-2, generator)


def count_quanta(x: Tensor, quanta: Tensor, generator: torch.Generator) -> Tensor:
    """Poisson(`quanta` x) / `quanta`, cut off at 1; quanta broadcast over x."""
    rates = (x * quanta).to(generator.device)
    return torch.poisson(rates, generator=generator).to(x.device).div_(quanta).clamp_(0, 1)


def blur(x: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Gaussian blur within slices; its sd is drawn from 0 to 1/32 of the side times `strength`.

    At strength 1 up to 2 pixels of an image of 64 pixels. Outside, the border repeats.
    """
    side = min(x.shape[-2:])
    return gaussian_blur(x, uniform(len(x), 0, LARGEST_BLUR * strength * side, x, generator))


def gaussian_blur(x: Tensor, sigmas: Tensor) -> Tensor:
    """Each image smoothed by a Gaussian of its own standard deviation `sigmas` (N,), in pixels of a slice."""
    rows, columns = (gaussian_matrices(size, sigmas, border="nearest") for size in x.shape[-2:])
    if x.ndim == 4:
        return along_axes(x, [rows, columns])
    slices = torch.eye(x.shape[2], dtype=x.dtype, device=x.device)[None]
    return along_axes(x, [slices, rows, columns])


def intensity(x: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Brightness: all grey values shift by up to .3 times `strength`, either way."""
    limit = LARGEST_BRIGHTNESS * strength
    return shift_brightness(x, _per_image(x, -limit, limit, generator))


def shift_brightness(x: Tensor, shift: Tensor | float) -> Tensor:
    """x + `shift`, cut off at 0 and 1; shift broadcasts over x."""
    return (x + shift).clamp_(0, 1)


def gamma(x: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """x to a power drawn from 1 - .5 times `strength` to 1 + .5 times `strength`."""
    limit = LARGEST_GAMMA * strength
    return x.clamp(0, 1) ** _per_image(x, 1 - limit, 1 + limit, generator)


def contrast(x: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Distances from the image's mean grow or shrink by up to half times `strength`."""
    limit = LARGEST_CONTRAST * strength
    return stretch_contrast(x, _per_image(x, 1 - limit, 1 + limit, generator))


def stretch_contrast(x: Tensor, factor: Tensor | float) -> Tensor:
    """mean + `factor` (x - mean), cut off at 0 and 1; the mean is that of each image, over all channels."""
    mean = x.flatten(1).mean(1).view(-1, *[1] * (x.ndim - 1))
    return (mean + factor * (x - mean)).clamp_(0, 1)


def _per_image(x: Tensor, low: float, high: float, generator: torch.Generator) -> Tensor:
    return uniform(len(x), low, high, x, generator).view(-1, *[1] * (x.ndim - 1))


def _normal(x: Tensor, generator: torch.Generator) -> Tensor:
    drawn = torch.randn(x.shape, generator=generator, device=generator.device, dtype=x.dtype)
    return drawn.to(x.device)


Intensity = Callable[[Tensor, float, torch.Generator], Tensor]
INTENSITY: dict[str, Intensity] = {
    "gaussian_noise": gaussian_noise,
    "speckle_noise": speckle_noise,
    "poisson_noise": poisson_noise,
    "blur": blur,
    "intensity": intensity,
    "gamma": gamma,
    "contrast": contrast,
}
