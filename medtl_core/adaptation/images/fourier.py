"""Fourier domain adaptation (Yang & Soatto 2020): low-frequency amplitudes of the target, source phases."""

import numpy as np
from numpy.typing import NDArray

from medtl_core.adaptation.images.image_pairs import check_images
from medtl_core.errors import MedtlError

Images = NDArray[np.uint8]


def fourier_adaptation(images: Images, references: Images, *, beta: float = 0.01, seed: int) -> Images:
    """Images (N, H, W) or (N, H, W, 3), each with the low-frequency amplitudes of one reference of (M, ...).

    Within floor(`beta` min(H, W)) of frequency 0 in both directions, amplitudes come from the reference that
    `seed` draws, phases stay (Yang & Soatto 2020, eq. 3). Below one step (`beta` min(H, W) < 1) only the mean
    is taken over; beta 0 changes nothing; the paper uses .01 to .09. Values outside 0 to 255 are cut off.
    MedtlError for a beta outside 0 to below 0.5, other types and shapes, and sizes that differ.
    """
    if not 0 <= beta < 0.5:
        raise MedtlError(f"fourier_adaptation: beta {beta}, expected 0 to below 0.5")
    check_images("fourier_adaptation", images, references, colour=False, one_size=True)
    if beta == 0:
        return images.copy()
    height, width = images.shape[1:3]
    reach = int(beta * min(height, width))
    rows, columns = (np.abs(np.fft.fftfreq(n, 1 / n)) <= reach for n in (height, width))
    low = np.outer(rows, columns)
    drawn = np.random.default_rng(seed).integers(len(references), size=len(images))
    adapted = np.empty_like(images)
    for image, reference, out in zip(images, references[drawn], adapted, strict=True):
        source = np.fft.fft2(image.astype(np.float64), axes=(0, 1))
        target = np.abs(np.fft.fft2(reference.astype(np.float64), axes=(0, 1)))
        mask = low if image.ndim == 2 else low[..., None]
        mixed = np.where(mask, target, np.abs(source)) * np.exp(1j * np.angle(source))
        out[...] = np.rint(np.clip(np.fft.ifft2(mixed, axes=(0, 1)).real, 0, 255))
    return adapted
