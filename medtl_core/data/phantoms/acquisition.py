"""Acquisition of digital phantoms: stain, blur, bias field, gamma and noise, and the shortcut mark."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from medtl_core.data.phantoms.anatomy import Floats, pixel_centres

# Optical density of haematoxylin and eosin in red, green and blue (Ruifrok and Johnston, Analytical and
# Quantitative Cytology and Histology 23:291, 2001).
HAEMATOXYLIN = np.array([0.65, 0.70, 0.29], np.float32)
EOSIN = np.array([0.07, 0.99, 0.11], np.float32)


@dataclass(frozen=True)
class AcquisitionStyle:
    """How one site records an image.

    blur: standard deviation of the point spread in pixels of a 64-px image, 0..4; noise: standard deviation
    of the sensor noise in grey, 0..0.5; gamma: exponent on grey 0..1, 0.3..3; bias_field: largest relative
    change of gain across the image, 0..1; haematoxylin and eosin: strength of the two stains, 0.2..3;
    stain_mixing: share of each stain's colour that is swapped with the other's, 0..0.5. Stains matter to
    colour images only. Gamma, bias field and stains vary by about a tenth from image to image.
    """

    blur: float = 0.5
    noise: float = 0.03
    gamma: float = 1.0
    bias_field: float = 0.1
    haematoxylin: float = 1.0
    eosin: float = 1.0
    stain_mixing: float = 0.0


STYLE_RANGES: dict[str, tuple[float, float]] = {
    "blur": (0.0, 4.0),
    "noise": (0.0, 0.5),
    "gamma": (0.3, 3.0),
    "bias_field": (0.0, 1.0),
    "haematoxylin": (0.2, 3.0),
    "eosin": (0.2, 3.0),
    "stain_mixing": (0.0, 0.5),
}


def _vary(value: float, n: int, rng: np.random.Generator) -> Floats:
    return (value * np.exp(rng.normal(0, 0.1, (n, 1, 1)))).astype(np.float32)


def _gain(style: AcquisitionStyle, n: int, size: int, rng: np.random.Generator) -> Floats:
    """Smooth gain (n, size, size), mean near 1: a slope and a bend along a random direction."""
    x, y = pixel_centres(size)
    angle = rng.uniform(0, 2 * np.pi, (n, 1, 1)).astype(np.float32)
    strength = _vary(style.bias_field, n, rng)
    plane = np.cos(angle) * x + np.sin(angle) * y
    bowl = np.float32(0.25) * (plane**2 - np.float32(1 / 3))
    return np.float32(1) + strength * (np.float32(0.5) * plane + bowl)


def _blurred(fields: Floats, style: AcquisitionStyle) -> Floats:
    sigma = style.blur * fields.shape[1] / 64
    return scipy.ndimage.gaussian_filter(fields, sigma, mode="nearest", axes=(1, 2)) if sigma > 0 else fields


def acquire_grey(grey: Floats, style: AcquisitionStyle, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Record grey fields (N, S, S) in 0..1 as uint8 images (N, S, S)."""
    n, size, _ = grey.shape
    seen = np.clip(_blurred(grey, style) * _gain(style, n, size, rng), 0, 1)
    seen **= _vary(style.gamma, n, rng)
    return _digitise(seen, style, rng)


def acquire_stained(
    organs: Floats, body: Floats, grey: Floats, style: AcquisitionStyle, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Record a stained section as uint8 (N, S, S, 3): two stains absorb light by Beer and Lambert's law.

    grey: (N, S, S) density of the tissue with the lesion, 0..1; organs, body: (N, S, S) opacities 0..1.
    Haematoxylin marks organs and what is denser than the parenchyma (the lesion), eosin the whole section.
    """
    n, size, _ = grey.shape
    dense = np.clip(np.float32(1.6) * (grey - np.float32(0.32)) + np.float32(0.25) * organs, 0, None) * body
    nuclear = _blurred(dense, style) * _vary(style.haematoxylin, n, rng)
    plasma = _blurred(np.float32(0.75) * grey, style) * _vary(style.eosin, n, rng)
    swap = np.float32(style.stain_mixing)
    first, second = (1 - swap) * HAEMATOXYLIN + swap * EOSIN, (1 - swap) * EOSIN + swap * HAEMATOXYLIN
    density = nuclear[..., None] * first + plasma[..., None] * second
    light = np.float32(0.94) * np.exp(-density) * np.clip(_gain(style, n, size, rng), 0, 1.06)[..., None]
    light = np.clip(light, 0, 1) ** _vary(style.gamma, n, rng)[..., None]
    return _digitise(light, style, rng)


def _digitise(seen: Floats, style: AcquisitionStyle, rng: np.random.Generator) -> NDArray[np.uint8]:
    noise = rng.standard_normal(seen.shape, dtype=np.float32)
    noise *= np.float32(255 * style.noise)
    noise += np.float32(255) * seen
    return np.clip(np.rint(noise, out=noise), 0, 255, out=noise).astype(np.uint8)


def stamp_marks(images: NDArray[np.uint8], marked: NDArray[np.bool_], rng: np.random.Generator) -> None:
    """Stamp an L-shaped bright mark into the upper left corner of the marked images, in place.

    images: (N, S, S) or (N, S, S, 3). The mark is S/12 px long (at least 3) and moves by up to S/16 px.
    """
    size = images.shape[1]
    length, stroke = max(3, round(size / 12)), max(1, round(size / 48))
    letter = np.zeros((length, length), bool)
    letter[:, :stroke] = letter[-stroke:] = True
    rows, columns = np.nonzero(letter)
    corner = 1 + rng.integers(0, max(1, size // 16) + 1, (len(images), 2))
    which = np.flatnonzero(marked)
    images[which[:, None], corner[which, :1] + rows, corner[which, 1:] + columns] = 245
