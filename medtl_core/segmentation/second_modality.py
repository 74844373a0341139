"""A synthetic second modality for volumes of which there is one: a stated change of intensity and texture."""

from __future__ import annotations

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from medtl_core.data.phantoms.anatomy import Floats
from medtl_core.errors import MedtlError

GRAIN = 0.7  # voxels: standard deviation of the blur that makes texture of noise
TEXTURE = 0.08  # standard deviation of the texture, in grey 0 to 1
BLUR = 0.6  # voxels: point spread of the second modality


def synthetic_modality(volumes: NDArray[np.uint8], *, seed: int) -> NDArray[np.uint8]:
    """Volumes uint8 (N, D, H, W) as a second modality might show them; anatomy and masks stay as they are.

    With x the grey in 0 to 1: y = (1 - x)^1.5 + 0.25 sin(2 pi x), so that the order of brightness is mostly
    reversed and two greys may meet in one, as between MR sequences; then a blur of 0.6 voxels, and a grain
    of standard deviation 0.08 that is finer than the tissue's. Voxels of 0, outside the scan, stay 0. This is
    a program's image, not a scan: name results on it synthetic. Raises MedtlError for other arrays.
    """
    if volumes.dtype != np.uint8 or volumes.ndim != 4:
        raise MedtlError(
            f"synthetic modality: volumes are {volumes.dtype} of shape {volumes.shape}, expected uint8 "
            "(N, D, H, W)"
        )
    rng = np.random.default_rng(seed)
    return np.stack([_changed(volume, rng) for volume in volumes])


def intensity_curve(x: Floats) -> Floats:
    """(1 - x)^1.5 + 0.25 sin(2 pi x), confined to 0 to 1, for grey in 0 to 1."""
    curve: Floats = np.clip((1 - x) ** 1.5 + 0.25 * np.sin(2 * np.pi * x), 0, 1)
    return curve


def _changed(volume: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    grey = scipy.ndimage.gaussian_filter(intensity_curve(volume / 255.0), BLUR, mode="nearest")
    grain = scipy.ndimage.gaussian_filter(rng.standard_normal(volume.shape), GRAIN, mode="wrap")
    grey += TEXTURE * grain / grain.std()
    return np.where(volume == 0, 0, np.clip(np.rint(255 * grey), 1, 255)).astype(np.uint8)
