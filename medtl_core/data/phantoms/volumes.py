"""Volumetric phantoms: the same anatomy seen in two modalities, with masks of its structures.

A body with two structures side by side (a front and a back part, as in the hippocampus), a cavity and
a vessel; outlines are bent by texture. Both modalities show the same cases voxel for voxel; what differs is
which tissue is bright, the texture, the gain and the noise. So a method can be held against paired truth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from medtl_core.data.phantoms.anatomy import inside
from medtl_core.errors import MedtlError

Floats = NDArray[np.float32]
TISSUES = ("air", "body", "front", "back", "cavity", "vessel")
MODALITIES = ("t1_like", "t2_like")
# Grey level 0 to 1 of each tissue: the order of brightness is reversed, but for the air.
LEVELS = {
    "t1_like": (0.05, 0.42, 0.72, 0.60, 0.18, 0.30),
    "t2_like": (0.05, 0.55, 0.28, 0.40, 0.92, 0.75),
}
TEXTURE = {
    "t1_like": (1.2, 0.05),
    "t2_like": (0.6, 0.10),
}  # grain in voxels of 24, standard deviation in grey
NOISE = {"t1_like": 0.03, "t2_like": 0.06}


@dataclass(frozen=True)
class PhantomVolumes:
    """Volumes of each modality and masks, all uint8 (N, S, S, S); mask value m is `mask_names[m]`."""

    volumes: dict[str, NDArray[np.uint8]]
    masks: NDArray[np.uint8]
    groups: NDArray[np.str_]
    mask_names: tuple[str, ...] = ("background", "front", "back")


def draw_volumes(n: int, seed: int, size: int = 24) -> PhantomVolumes:
    """Draw `n` cases of `size` voxels a side (16 to 96): the same ones for the same seed.

    Anatomy, and each modality's texture and noise, come from streams of their own. Raises MedtlError for
    sizes and numbers out of range.
    """
    if not (1 <= n <= 10_000 and 16 <= size <= 96):
        raise MedtlError(
            f"volumetric phantoms: n {n}, size {size}; expected 1 to 10,000 cases of 16 to 96 voxels"
        )
    anatomy, *streams = (
        np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(1 + len(MODALITIES))
    )
    shape = (n, size, size, size)
    masks = np.empty(shape, np.uint8)
    volumes = {name: np.empty(shape, np.uint8) for name in MODALITIES}
    for case in range(n):
        opacities = _draw_anatomy(size, anatomy)
        masks[case] = _mask(opacities)
        for name, rng in zip(MODALITIES, streams, strict=True):
            volumes[name][case] = _acquire(opacities, name, rng)
    return PhantomVolumes(volumes, masks, np.array([f"case_{case:05d}" for case in range(n)]))


def _draw_anatomy(size: int, rng: np.random.Generator) -> Floats:
    """Opacities (5, S, S, S), 0 to 1, of all tissues but air; later ones cover earlier ones."""
    axis = (np.arange(size, dtype=np.float32) + 0.5) * (2 / size) - 1
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"))
    bend = np.float32(0.15) * _smooth_noise(size, size / 8, rng)

    def ellipsoid(centre: list[float], half: list[float], wobble: float = 1.0) -> Floats:
        middle = np.array(centre, np.float32) + rng.uniform(-0.08, 0.08, 3).astype(np.float32)
        axes = np.array(half, np.float32) * rng.uniform(0.85, 1.15, 3).astype(np.float32)
        scaled = (grid - middle[:, None, None, None]) / axes[:, None, None, None]
        return inside(np.square(scaled).sum(0) + wobble * bend, 0.3)

    body = ellipsoid([0, 0, 0], [0.95, 0.95, 0.95])
    front = ellipsoid([0, -0.4, 0], [0.44, 0.38, 0.46], 2)
    back = ellipsoid([0, 0.4, 0], [0.36, 0.42, 0.36], 2)
    cavity = ellipsoid([0.6, 0, 0.4], [0.14, 0.3, 0.14])
    vessel = ellipsoid([-0.6, 0.1, -0.4], [0.09, 0.55, 0.09], 0)
    return np.stack([body, front, back, cavity, vessel]).astype(np.float32)


def _mask(opacities: Floats) -> NDArray[np.uint8]:
    """1 in front, 2 in back where they are what is seen, as cavity and vessel cover both."""
    shown = np.concatenate([np.full((1, *opacities.shape[1:]), 0.5, np.float32), opacities])
    last = len(shown) - 1 - np.argmax(shown[::-1] >= 0.5, axis=0)
    return np.where(last == 2, 1, np.where(last == 3, 2, 0)).astype(np.uint8)


def _acquire(opacities: Floats, modality: str, rng: np.random.Generator) -> NDArray[np.uint8]:
    """One volume uint8 (S, S, S): levels blended by opacity, then texture, a sloping gain, noise."""
    size = opacities.shape[-1]
    levels = np.array(LEVELS[modality]) * rng.normal(1, 0.04, len(TISSUES))
    grey = np.full(opacities.shape[1:], levels[0], np.float32)
    for opacity, level in zip(opacities, levels[1:], strict=True):
        grey += opacity * (np.float32(level) - grey)
    grain, spread = TEXTURE[modality]
    grey += spread * opacities[0] * _smooth_noise(size, grain * size / 24, rng)
    slope = np.linspace(-1, 1, size, dtype=np.float32) * np.float32(rng.uniform(-0.15, 0.15))
    grey = grey * (1 + slope) + NOISE[modality] * rng.standard_normal(grey.shape, dtype=np.float32)
    return np.clip(np.rint(255 * grey), 0, 255).astype(np.uint8)


def _smooth_noise(size: int, sigma: float, rng: np.random.Generator) -> Floats:
    """Gaussian noise blurred by `sigma` voxels, standard deviation 1, (S, S, S)."""
    noise = rng.standard_normal((size, size, size), dtype=np.float32)
    smooth = scipy.ndimage.gaussian_filter(noise, sigma, mode="wrap")
    scaled: Floats = smooth / smooth.std()
    return scaled
