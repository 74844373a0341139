"""Basic geometric transforms: flip, rotation, scale, translation and crop, each one matrix an image.

Every function gives maps from output to input positions (N, d + 1, d + 1), so that neighbours in a policy are
multiplied and the image is resampled once. In volumes (d = 3) flip and rotation act in the plane of a slice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from medtl_core.augmentation.sampling import identity_matrices, uniform

LARGEST_ROTATION = 30.0  # degrees
LARGEST_SCALE = 0.2  # relative change of size
LARGEST_TRANSLATION = 0.1  # share of width, height and depth
SMALLEST_CROP = 0.4  # share of the image's area (in volumes: of each slice's area)


def flip(n: int, spatial: Sequence[int], strength: float, like: Tensor, generator: torch.Generator) -> Tensor:
    """Left and right are exchanged with probability `strength` / 2."""
    matrices = identity_matrices(n, len(spatial), like)
    matrices[:, 0, 0] = torch.where(uniform(n, 0, 1, like, generator) < strength / 2, -1.0, 1.0)
    return matrices


def rotation(
    n: int, spatial: Sequence[int], strength: float, like: Tensor, generator: torch.Generator
) -> Tensor:
    """The content turns by up to 30 degrees times `strength`, either way; positive is anticlockwise."""
    limit = math.radians(LARGEST_ROTATION * strength)
    return rotation_matrices(uniform(n, -limit, limit, like, generator), len(spatial))


def rotation_matrices(angles: Tensor, dimensions: int) -> Tensor:
    """Maps of turns by `angles` (N,), in radians, in the plane of x and y."""
    matrices = identity_matrices(len(angles), dimensions, angles)
    matrices[:, 0, 0] = matrices[:, 1, 1] = angles.cos()
    matrices[:, 0, 1], matrices[:, 1, 0] = -angles.sin(), angles.sin()
    return matrices


def scale(
    n: int, spatial: Sequence[int], strength: float, like: Tensor, generator: torch.Generator
) -> Tensor:
    """The content grows or shrinks by up to a fifth times `strength`, equally along all axes."""
    limit = LARGEST_SCALE * strength
    return _zoom(1 / uniform(n, 1 - limit, 1 + limit, like, generator), len(spatial))


def translation(
    n: int, spatial: Sequence[int], strength: float, like: Tensor, generator: torch.Generator
) -> Tensor:
    """The content moves by up to a tenth of the size times `strength`, along each axis by its own draw."""
    matrices = identity_matrices(n, len(spatial), like)
    for axis, size in enumerate(reversed(spatial)):
        limit = LARGEST_TRANSLATION * strength * size
        matrices[:, axis, -1] = uniform(n, -limit, limit, like, generator)
    return matrices


def crop(n: int, spatial: Sequence[int], strength: float, like: Tensor, generator: torch.Generator) -> Tensor:
    """A window of the image's shape, anywhere inside, is enlarged to full size (Szegedy et al. 2015).

    The window's share of a slice's area is drawn from 1 - .6 times `strength` to 1.
    """
    side = uniform(n, 1 - (1 - SMALLEST_CROP) * strength, 1, like, generator).sqrt()
    matrices = _zoom(side, len(spatial))
    for axis, size in enumerate(reversed(spatial)):
        matrices[:, axis, -1] = uniform(n, -size / 2, size / 2, like, generator) * (1 - side)
    return matrices


def _zoom(factors: Tensor, dimensions: int) -> Tensor:
    matrices = identity_matrices(len(factors), dimensions, factors)
    for axis in range(dimensions):
        matrices[:, axis, axis] = factors
    return matrices


Affine = Callable[[int, Sequence[int], float, Tensor, torch.Generator], Tensor]
AFFINE: dict[str, Affine] = {
    "flip": flip,
    "rotation": rotation,
    "scale": scale,
    "translation": translation,
    "crop": crop,
}
