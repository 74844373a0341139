"""Graded corruptions: the same images seen through other contrast, optics, electronics or stain."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.color import hed_from_rgb, rgb_from_hed

from medtl_core.errors import MedtlError

SEVERITIES: dict[str, tuple[float, ...]] = {
    "gamma": (1.0, 1.3, 1.7, 2.3, 3.0),
    "blur": (0.0, 1.0, 1.7, 2.6, 4.0),
    "noise": (0.0, 0.03, 0.06, 0.12, 0.2),
    "stain": (1.0, 1.3, 1.6, 2.0, 2.6),
}
"""Strength at severity 0 (none) to 4.

gamma: exponent on values 0 to 1. blur: standard deviation of a Gaussian in pixels of a 64-px image. noise:
standard deviation of additive Gaussian noise as a share of the full range. stain: factor on the haematoxylin
density (Ruifrok & Johnston 2001), colour images only.
"""


def corruption_kinds(channels: int) -> list[str]:
    """Kinds of corruption that images of 1 (grey) or 3 (RGB) channels can undergo."""
    return [kind for kind in SEVERITIES if kind != "stain" or channels == 3]


def corrupt(images: NDArray[np.uint8], kind: str, severity: int, seed: int = 0) -> NDArray[np.uint8]:
    """Images uint8 (N, H, W) or (N, H, W, 3) under a corruption; severity 0 gives them back as they are.

    `seed` decides the noise; noise falls on every channel by itself. MedtlError for an unknown kind, a
    severity outside 0 to 4, stain on grey images, and images that are not uint8 of such a shape.
    """
    if kind not in SEVERITIES:
        raise MedtlError(f"corruption: found {kind!r}, expected one of {', '.join(SEVERITIES)}")
    if severity not in range(len(SEVERITIES[kind])):
        raise MedtlError(
            f"corruption {kind}: found severity {severity}, expected 0 to {len(SEVERITIES[kind]) - 1}"
        )
    colour = images.ndim == 4 and images.shape[-1] == 3
    if images.dtype != np.uint8 or not (images.ndim == 3 or colour):
        raise MedtlError(
            f"corruption {kind}: found {images.dtype} {images.shape}, "
            "expected uint8 (N, H, W) or (N, H, W, 3)"
        )
    if kind == "stain" and not colour:
        raise MedtlError("corruption stain: found grey images, expected RGB; choose gamma, blur or noise")
    if severity == 0:
        return images.copy()
    strength = SEVERITIES[kind][severity]
    values = images.astype(np.float32) / np.float32(255)
    if kind == "gamma":
        values **= np.float32(strength)
    elif kind == "blur":
        values = ndimage.gaussian_filter(values, strength * images.shape[1] / 64, mode="nearest", axes=(1, 2))
    elif kind == "noise":
        drawn = np.random.default_rng(seed).standard_normal(values.shape, dtype=np.float32)
        values += np.float32(strength) * drawn
    else:
        values = _stained(values, strength)
    return np.clip(np.rint(values * 255), 0, 255).astype(np.uint8)


def _stained(values: NDArray[np.float32], strength: float) -> NDArray[np.float32]:
    """RGB 0 to 1 with its haematoxylin density multiplied; colours without haematoxylin stay as they are.

    Not by `rgb2hed`: it clips densities at 0, which recolours what no mixture of the stains can produce.
    """
    stains = -np.log(np.maximum(values, np.float32(1 / 255))) @ hed_from_rgb
    stains[..., 0] *= np.where(stains[..., 0] > 0, strength, 1.0)
    return np.exp(-stains @ rgb_from_hed).astype(np.float32)
