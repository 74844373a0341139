"""Anatomy of digital phantoms: body outline, organs, vessels and 1/f tissue texture.

Lengths are in half-widths of the image: the field of view is [-1, 1] x [-1, 1], x to the right, y
downwards. Anatomy is drawn once per patient; a view (one image) moves, turns and scales it, so that the
images of one patient resemble each other as slices or repeated takes do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

Floats = NDArray[np.floating]  # 32-bit, for speed
N_ORGANS = 4
N_VESSELS = 6
PATIENT_SHARE = 0.5  # share of the texture's power that all images of a patient have in common


@dataclass(frozen=True)
class Patients:
    """Anatomy of P patients in their own frame; ellipses are rows (x, y, semi-axis a, semi-axis b, angle)."""

    body: Floats  # (P, 5)
    organs: Floats  # (P, N_ORGANS, 5)
    organ_levels: Floats  # (P, N_ORGANS) grey difference to the parenchyma, -1..1
    vessels: Floats  # (P, N_VESSELS, 5)
    rim: Floats  # (P,) thickness of skin or bone as a share of the body's radius
    rim_level: Floats  # (P,) grey level of the rim, 0..1
    parenchyma: Floats  # (P,) grey level of the tissue, 0..1
    exponent: Floats  # (P,) beta of the texture's power spectrum 1/f^beta


@dataclass(frozen=True)
class Views:
    """How each of N images looks at its patient: shift (N, 2), angle (N,) in radians, scale (N,)."""

    shift: Floats
    angle: Floats
    scale: Floats

    def rows(self, block: slice) -> Views:
        """The views of a block of images."""
        return Views(self.shift[block], self.angle[block], self.scale[block])


def draw_patients(n: int, rng: np.random.Generator) -> Patients:
    """Draw the anatomy of `n` patients."""

    def uniform(low: float, high: float, *shape: int) -> Floats:
        return rng.uniform(low, high, (n, *shape)).astype(np.float32)

    body = np.stack(
        [
            uniform(-0.03, 0.03),
            uniform(-0.03, 0.03),
            uniform(0.76, 0.9),
            uniform(0.68, 0.86),
            uniform(-0.2, 0.2),
        ],
        axis=1,
    )
    # Two symmetric organs (lungs, ventricles) and two single ones, placed as shares of the body's semi-axes.
    place_x = np.array([-0.42, 0.42, 0.0, 0.1], np.float32) + uniform(-0.06, 0.06, N_ORGANS)
    place_y = np.array([-0.12, -0.12, 0.55, -0.6], np.float32) + uniform(-0.08, 0.08, N_ORGANS)
    long = np.array([0.2, 0.2, 0.16, 0.12], np.float32) * uniform(0.75, 1.3, N_ORGANS)
    short = np.array([0.32, 0.32, 0.1, 0.12], np.float32) * uniform(0.75, 1.3, N_ORGANS)
    tilt = np.array([0.2, -0.2, 0.0, 0.0], np.float32) + uniform(-0.35, 0.35, N_ORGANS)
    organs = np.stack([place_x * body[:, 2:3], place_y * body[:, 3:4], long, short, tilt], axis=2)
    levels = np.array([-0.13, -0.13, 0.16, 0.12], np.float32) * uniform(0.5, 1.2, N_ORGANS)

    azimuth, distance = uniform(0, 2 * np.pi, N_VESSELS), np.sqrt(uniform(0.02, 0.5, N_VESSELS))
    vessels = np.stack(
        [
            np.cos(azimuth) * distance * body[:, 2:3],
            np.sin(azimuth) * distance * body[:, 3:4],
            uniform(0.02, 0.12, N_VESSELS),
            uniform(0.02, 0.035, N_VESSELS),
            uniform(0, np.pi, N_VESSELS),
        ],
        axis=2,
    )
    return Patients(
        body=body,
        organs=organs,
        organ_levels=levels,
        vessels=vessels,
        rim=uniform(0.05, 0.12),
        rim_level=uniform(0.55, 0.8),
        parenchyma=uniform(0.34, 0.46),
        exponent=uniform(2.5, 3.3),
    )


def draw_views(n: int, rng: np.random.Generator) -> Views:
    """Draw the position jitter of `n` images: shift and scale up to 6 %, turn up to 0.2 rad."""
    return Views(
        shift=rng.uniform(-0.12, 0.12, (n, 2)).astype(np.float32),
        angle=rng.uniform(-0.2, 0.2, n).astype(np.float32),
        scale=rng.uniform(0.94, 1.06, n).astype(np.float32),
    )


def seen_from(ellipses: Floats, views: Views) -> Floats:
    """Carry ellipses (N, M, 5) from the patient's frame into the image's frame of each view."""
    cosine, sine = np.cos(views.angle)[:, None], np.sin(views.angle)[:, None]
    x, y = ellipses[..., 0] * views.scale[:, None], ellipses[..., 1] * views.scale[:, None]
    return np.stack(
        [
            cosine * x - sine * y + views.shift[:, :1],
            sine * x + cosine * y + views.shift[:, 1:],
            ellipses[..., 2] * views.scale[:, None],
            ellipses[..., 3] * views.scale[:, None],
            ellipses[..., 4] + views.angle[:, None],
        ],
        axis=-1,
    )


def pixel_centres(size: int) -> tuple[Floats, Floats]:
    """Coordinates x (1, size) and y (size, 1) of the pixels' centres, in half-widths of the image."""
    centres = ((np.arange(size, dtype=np.float32) + 0.5) * (2 / size) - 1).astype(np.float32)
    return centres[None, :], centres[:, None]


def squared_radius(ellipses: Floats, size: int) -> Floats:
    """(N, M, size, size) squared radius of each pixel in units of each ellipse (N, M, 5): below 1 is inside.

    It is a quadratic polynomial of x and y, so that all pixels of all ellipses are one matrix product.
    """
    x, y, a, b, angle = np.moveaxis(ellipses.astype(np.float64), -1, 0)
    cosine, sine = np.cos(angle), np.sin(angle)
    xx = (cosine / a) ** 2 + (sine / b) ** 2
    yy = (sine / a) ** 2 + (cosine / b) ** 2
    xy = 2 * cosine * sine * (a**-2 - b**-2)
    coefficients = np.stack(
        [
            xx * x**2 + xy * x * y + yy * y**2,
            -2 * xx * x - xy * y,
            -2 * yy * y - xy * x,
            xx,
            xy,
            yy,
        ],
        axis=-1,
    ).astype(np.float32)
    px, py = (np.broadcast_to(p, (size, size)).ravel() for p in pixel_centres(size))
    basis = np.stack([np.ones_like(px), px, py, px * px, px * py, py * py])
    return (coefficients @ basis).reshape(*ellipses.shape[:-1], size, size)


def inside(squared: Floats, softness: float) -> Floats:
    """Opacity 0..1 from a squared radius: 1 inside, 0 outside, a linear ramp of width `softness` around 1."""
    return np.clip((1 - squared) / np.float32(softness) + np.float32(0.5), 0, 1)


def power_law_texture(
    patient: NDArray[np.intp], exponent: Floats, size: int, rng: np.random.Generator
) -> Floats:
    """Gaussian texture (N, size, size) with power spectrum 1/f^beta, mean 0 and variance 1 in each image.

    patient: (N,) index of each image's patient, counted from 0; exponent: beta (P,) of each patient. Images
    of one patient share `PATIENT_SHARE` of the texture's power. Mammographic tissue has beta near 3
    (Burgess, Jacobson and Judy, Medical Physics 28:419, 2001).
    """
    fy, fx = scipy.fft.fftfreq(size)[:, None], scipy.fft.rfftfreq(size)[None, :]
    log_frequency = np.log(np.maximum(np.hypot(fx, fy), 1 / size)).astype(np.float32)
    amplitude = np.exp(-exponent[:, None, None] / 2 * log_frequency)
    amplitude[:, 0, 0] = 0

    def spectrum(n: int) -> NDArray[np.complex64]:
        parts = rng.standard_normal((n, size, size // 2 + 1, 2), dtype=np.float32)
        return parts.view(np.complex64)[..., 0]

    common = spectrum(len(exponent))
    mixed = spectrum(len(patient))
    mixed *= np.float32(np.sqrt(1 - PATIENT_SHARE))
    mixed += np.float32(np.sqrt(PATIENT_SHARE)) * common[patient]
    mixed *= amplitude[patient]
    texture = scipy.fft.irfft2(mixed, s=(size, size), axes=(1, 2)).astype(np.float32)
    texture -= texture.mean(axis=(1, 2), keepdims=True)
    texture /= texture.std(axis=(1, 2), keepdims=True)
    return texture


@dataclass(frozen=True)
class Tissue:
    """What the acquisition sees of N images, but for the lesion."""

    grey: Floats  # (N, S, S) about 0..1
    body: Floats  # (N, S, S) 0..1
    organs: Floats  # (N, S, S) 0..1, organs and vessels together: what a nuclear stain takes up


def render_tissue(
    patients: Patients, patient: NDArray[np.intp], views: Views, texture: Floats, texture_contrast: float
) -> Tissue:
    """Render the tissue of N images from their texture (N, S, S).

    texture_contrast: standard deviation of the texture in grey, 0..1. The texture also bends the outlines
    of body and organs, so that none is an exact ellipse.
    """
    size = texture.shape[-1]
    bend = np.float32(0.07) * texture
    squared = squared_radius(seen_from(patients.body[patient][:, None], views), size)[:, 0] + bend
    body = inside(squared, 0.1)
    inner = np.square(1 - patients.rim[patient])[:, None, None]
    core = inside(squared / inner, 0.1)

    level, rim_level = (v[patient][:, None, None] for v in (patients.parenchyma, patients.rim_level))
    grey = level + np.float32(texture_contrast) * texture
    stained = np.zeros_like(grey)
    for k in range(N_ORGANS):
        organ = squared_radius(seen_from(patients.organs[patient][:, k : k + 1], views), size)[:, 0]
        alpha = inside(organ + 3 * bend, 0.5)
        grey += patients.organ_levels[patient][:, k, None, None] * alpha
        np.maximum(stained, alpha, out=stained)
    vessels = squared_radius(seen_from(patients.vessels[patient], views), size).min(axis=1)
    alpha = inside(vessels, 1.2)
    grey += np.float32(0.12) * alpha
    np.maximum(stained, alpha, out=stained)

    grey = rim_level + core * (grey - rim_level)
    return Tissue(grey=body * grey, body=body, organs=core * stained)
