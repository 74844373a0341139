"""Lesions of digital phantoms: families of outline and inner texture at equal brightness and equal area.

The class of an image is the family of its lesion. Every family draws its area, its place and its contrast
from the same distributions, and the inner texture has mean 0 and variance 1 over the lesion whatever the
family: only shape and texture tell the classes apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from medtl_core.data.phantoms.anatomy import Floats, pixel_centres

N_ANGLES = 512  # samples of an outline around the circle
_THETA = (np.arange(N_ANGLES) * (2 * np.pi / N_ANGLES)).astype(np.float32)

Outline = Callable[[int, float, np.random.Generator], Floats]


def oval_outline(n: int, irregularity: float, rng: np.random.Generator) -> Floats:
    """Radius (n, N_ANGLES) of smooth ovals; the same at every irregularity."""
    radius = np.ones((n, N_ANGLES), np.float32)
    for order, amplitude in ((2, 0.12), (3, 0.04)):
        phase = rng.uniform(0, 2 * np.pi, (n, 1)).astype(np.float32)
        radius += np.float32(amplitude) * np.cos(order * _THETA - phase)
    return radius


def lobed_outline(n: int, irregularity: float, rng: np.random.Generator) -> Floats:
    """Radius (n, N_ANGLES) with 3 to 5 rounded lobes, up to half of the radius deep at irregularity 1."""
    lobes = rng.integers(3, 6, (n, 1))
    phase = rng.uniform(0, 2 * np.pi, (n, 1)).astype(np.float32)
    wobble = np.float32(0.3) * np.sin(_THETA - rng.uniform(0, 2 * np.pi, (n, 1)).astype(np.float32))
    lobe = np.abs(np.sin(lobes * (_THETA + wobble) / 2 + phase))
    return oval_outline(n, irregularity, rng) * (1 + np.float32(irregularity) * (lobe - 1) * np.float32(0.55))


def spiculated_outline(n: int, irregularity: float, rng: np.random.Generator) -> Floats:
    """Radius (n, N_ANGLES) with 6 to 9 pointed spikes, up to one core's radius long at irregularity 1."""
    slots = 9
    width = np.float32(0.2)
    spikes = rng.integers(6, slots + 1, (n, 1))
    angle = 2 * np.pi * (np.arange(slots) + rng.uniform(-0.25, 0.25, (n, slots))) / spikes
    height = rng.uniform(0.55, 1.0, (n, slots)) * (np.arange(slots) < spikes)
    turn = rng.uniform(0, 2 * np.pi, (n, 1))
    spike = np.zeros((n, N_ANGLES), np.float32)
    for k in range(slots):
        away = np.abs((_THETA - (angle[:, k, None] + turn) + np.pi) % (2 * np.pi) - np.pi).astype(np.float32)
        np.maximum(spike, height[:, k, None].astype(np.float32) * np.exp(-away / width), out=spike)
    return oval_outline(n, irregularity, rng) * (1 + np.float32(irregularity) * spike)


@dataclass(frozen=True)
class Family:
    """One class of lesion: its outline and the kind of its inner texture."""

    outline: Outline
    texture: str  # fine | coarse | ring | stripes | graded


FAMILIES: dict[str, Family] = {
    "smooth": Family(oval_outline, "fine"),
    "spiculated": Family(spiculated_outline, "coarse"),
    "lobed": Family(lobed_outline, "fine"),
    "ring": Family(oval_outline, "ring"),
    "striped": Family(oval_outline, "stripes"),
    "mottled": Family(oval_outline, "coarse"),
    "graded": Family(oval_outline, "graded"),
}
_BANDS = {"fine": (12.0, 20.0), "coarse": (4.0, 8.0)}  # cycles per image


@dataclass(frozen=True)
class Lesions:
    """N lesions in the image's frame."""

    centre: Floats  # (N, 2) x and y in half-widths
    radius: Floats  # (N,) of the circle of the same area, in half-widths
    outline: Floats  # (N, N_ANGLES) radius in each direction, relative to `radius`
    contrast: Floats  # (N,) mean grey above the surroundings, 0..1
    family: NDArray[np.str_]  # (N,) names in FAMILIES

    def rows(self, block: slice) -> Lesions:
        """The lesions of a block of images."""
        return Lesions(
            self.centre[block],
            self.radius[block],
            self.outline[block],
            self.contrast[block],
            self.family[block],
        )


def draw_outlines(family: NDArray[np.str_], irregularity: float, rng: np.random.Generator) -> Floats:
    """Outlines (N, N_ANGLES) of the named families, scaled to the area of the unit circle."""
    outline = np.empty((len(family), N_ANGLES), np.float32)
    for name in np.unique(family):
        rows = np.flatnonzero(family == name)
        outline[rows] = FAMILIES[str(name)].outline(len(rows), irregularity, rng)
    return outline / np.sqrt(np.mean(outline**2, axis=1, keepdims=True))


def band_noise(low: float, high: float, shape: tuple[int, int, int], rng: np.random.Generator) -> Floats:
    """Gaussian noise (N, S, S) with power only between `low` and `high` cycles per image."""
    n, size, _ = shape
    cycles = np.hypot(scipy.fft.fftfreq(size, 1 / size)[:, None], scipy.fft.rfftfreq(size, 1 / size)[None, :])
    band = (cycles >= low) & (cycles <= high)
    spectrum = np.zeros((n, size, size // 2 + 1), np.complex64)
    parts = rng.standard_normal((n, int(band.sum()), 2), dtype=np.float32)
    spectrum[:, band] = parts.view(np.complex64)[..., 0]
    return scipy.fft.irfft2(spectrum, s=(size, size), axes=(1, 2)).astype(np.float32)


def render_lesions(lesions: Lesions, size: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Opacity 0..1 and inner texture, of mean 0 and variance 1 over the lesion; both (N, size, size)."""
    x, y = pixel_centres(size)
    dx = x - lesions.centre[:, 0, None, None]
    dy = y - lesions.centre[:, 1, None, None]
    distance = np.sqrt(dx * dx + dy * dy) / lesions.radius[:, None, None]
    bins = np.round(np.arctan2(dy, dx) * np.float32(N_ANGLES / (2 * np.pi))).astype(np.int32) % N_ANGLES
    edge = np.take_along_axis(lesions.outline, bins.reshape(len(bins), -1), axis=1).reshape(bins.shape)
    pixel = 2 / (size * lesions.radius[:, None, None])  # a pixel's width in units of the lesion's radius
    alpha = np.clip((edge - distance) / np.maximum(pixel, 0.12) + np.float32(0.5), 0, 1)

    texture = np.empty_like(alpha)
    kinds = np.array([FAMILIES[str(name)].texture for name in lesions.family])
    for kind in np.unique(kinds):
        rows = np.flatnonzero(kinds == kind)
        texture[rows] = _inner_texture(
            str(kind), dx[rows], dy[rows], (distance / edge)[rows], lesions.radius[rows], rng
        )
    weight = alpha.sum(axis=(1, 2), keepdims=True)
    texture -= (alpha * texture).sum(axis=(1, 2), keepdims=True) / weight
    texture /= np.sqrt((alpha * texture**2).sum(axis=(1, 2), keepdims=True) / weight)
    return alpha, texture


def _inner_texture(
    kind: str, dx: Floats, dy: Floats, depth: Floats, radius: Floats, rng: np.random.Generator
) -> Floats:
    """Texture of one kind before standardisation; `depth` is 0 at the centre and 1 at the outline."""
    if kind in _BANDS:
        return band_noise(*_BANDS[kind], depth.shape, rng)
    if kind == "ring":
        return -np.exp(-((depth / np.float32(0.62)) ** 4))
    angle = rng.uniform(0, 2 * np.pi, (len(dx), 1, 1)).astype(np.float32)
    along = (np.cos(angle) * dx + np.sin(angle) * dy) / radius[:, None, None]
    if kind == "graded":
        return along
    phase = rng.uniform(0, 2 * np.pi, angle.shape).astype(np.float32)
    return np.sin(np.float32(2.4 * np.pi) * along + phase)
