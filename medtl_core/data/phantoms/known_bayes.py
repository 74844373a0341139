"""Images whose Bayes error is known in closed form: two stationary textures, and their ideal observer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import expit

from medtl_core.errors import MedtlError

WAVES = 3  # waves over the image that the textures are made of
SPREAD = 1  # waves that their direction may deviate
BACKGROUND = 0.05  # power of all other frequencies, the same in both classes
GREY_PER_SD = 32.0  # grey levels of one standard deviation of the image; 8 bits then lose next to nothing


@dataclass(frozen=True)
class KnownBayes:
    """Drawn images with the exact belief of the best possible observer.

    images: uint8 (N, S, S); labels: int64 (N,), 0 or 1, noise included; posterior: float64 (N, 2), the
    probability of either label given the image; bayes_error: the lowest error rate that any classifier can
    have, 0 to 0.5.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    posterior: NDArray[np.float64]
    bayes_error: float


def draw_known_bayes(
    n: int, *, size: int = 16, seed: int = 0, error: float = 0.1, label_noise: float = 0.0
) -> KnownBayes:
    """Draw `n` images of `size` x `size` px of two Gaussian textures that differ in direction alone.

    Both classes are stationary Gaussian fields with mean 0 and the same total power, so neither brightness
    nor any fixed weighting of pixels tells them apart: every linear classifier is at chance. Class 0 has c
    times more power in waves that run across the image than in waves that run down, class 1 the reverse. The
    likelihood ratio depends on the energies E of the two bands of m coefficients only; the ideal observer
    compares them, and errs with probability P(F(m, m) < 1 / c). c is chosen such that this is `error` (0 to
    0.5, both excluded). `label_noise` is the share of labels that are flipped (0 to below 0.5); it raises
    the Bayes error to `label_noise + (1 - 2 * label_noise) * error`.

    Raises MedtlError for parameters out of range.
    """
    if n < 1 or size < 4 * WAVES:
        raise MedtlError(
            f"known Bayes: n {n}, size {size} px; expected at least 1 image of at least {4 * WAVES} px"
        )
    if not 0 < error < 0.5 or not 0 <= label_noise < 0.5:
        raise MedtlError(
            f"known Bayes: error {error}, label_noise {label_noise}; "
            "expected 0 < error < 0.5 and 0 <= label_noise < 0.5"
        )
    across = _band(size)
    ratio = power_ratio(error, int(across.sum()))
    power = np.full((2, size, size), BACKGROUND)
    for label, band in enumerate((across, across.T)):
        power[label][band], power[label][band.T] = ratio, 1.0
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, n)
    flips = rng.uniform(size=n) < label_noise
    waves = np.fft.fft2(rng.standard_normal((n, size, size)), norm="ortho") * np.sqrt(power[truth])
    grey_per_unit = GREY_PER_SD / np.sqrt(power[0].mean())
    images = np.clip(np.round(128 + grey_per_unit * np.fft.ifft2(waves, norm="ortho").real), 0, 255)
    clean = _ideal_posterior((images - 128) / grey_per_unit, across, ratio)
    return KnownBayes(
        images=images.astype(np.uint8),
        labels=np.where(flips, 1 - truth, truth).astype(np.int64),
        posterior=label_noise + (1 - 2 * label_noise) * clean,
        bayes_error=label_noise + (1 - 2 * label_noise) * error,
    )


def power_ratio(error: float, m: int) -> float:
    """c such that the ideal observer of two bands of `m` coefficients errs with probability `error`."""
    return float(1 / stats.f.ppf(error, m, m))


def _ideal_posterior(x: NDArray[np.float64], across: NDArray[np.bool_], ratio: float) -> NDArray[np.float64]:
    """Posterior (N, 2) of x (N, S, S): log p(x|1) - log p(x|0) = (1 - 1/c) (E_down - E_across) / 2."""
    energy = np.abs(np.fft.fft2(x, norm="ortho")) ** 2
    log_odds = (1 - 1 / ratio) / 2 * (energy[:, across.T].sum(axis=1) - energy[:, across].sum(axis=1))
    return np.stack([expit(-log_odds), expit(log_odds)], axis=1)


def _band(size: int) -> NDArray[np.bool_]:
    """(S, S) Fourier coefficients of waves that run across the image, symmetric under k -> -k."""
    frequency = np.fft.fftfreq(size, 1 / size)
    down, across = np.meshgrid(frequency, frequency, indexing="ij")
    return (np.abs(across) == WAVES) & (np.abs(down) <= SPREAD)
