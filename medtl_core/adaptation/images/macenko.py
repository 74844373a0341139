"""Macenko stain normalisation (Macenko et al. 2009): the target's two stains at the image's own amounts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medtl_core.adaptation.images.image_pairs import check_images
from medtl_core.errors import MedtlError

Images = NDArray[np.uint8]
Array = NDArray[np.float64]
WHITE = 255.0


@dataclass(frozen=True)
class Stain:
    """Two unit vectors of optical density (2, 3), haematoxylin first (more red absorbed), and strengths (2,).

    `strength` is the 99th percentile of each stain's amount.
    """

    vectors: Array
    strength: Array

    @classmethod
    def of(cls, images: Images, *, transparent: float = 0.15, percentile: float = 1.0) -> "Stain":
        """The stains of RGB images (N, H, W, 3), taken together (Macenko et al. 2009, section 2).

        Pixels below an optical density of `transparent` in any channel are left out. In the plane of the two
        leading eigenvectors, the stains are the directions at the `percentile` and at 100 less it. MedtlError
        where fewer than 100 pixels are stained, or all in one colour.
        """
        density = optical_density(images).reshape(-1, 3)
        stained = density[(density >= transparent).all(axis=1)]
        if len(stained) < 100:
            raise MedtlError(
                f"macenko: {len(stained)} stained pixels (optical density {transparent} in each channel), "
                "expected at least 100"
            )
        values, axes = np.linalg.eigh(np.cov(stained, rowvar=False))
        if values[1] < 1e-6:
            raise MedtlError("macenko: all stained pixels lie on one line of colour, expected two stains")
        plane = axes[:, [2, 1]]
        plane = plane * np.where(plane.sum(axis=0) < 0, -1, 1)
        along = stained @ plane
        angles = np.arctan2(along[:, 1], along[:, 0])
        ends = np.percentile(angles, [percentile, 100 - percentile])
        vectors = np.column_stack([np.cos(ends), np.sin(ends)]) @ plane.T
        vectors = vectors[np.argsort(-vectors[:, 0], kind="stable")]
        amounts = _amounts(density, vectors)
        return cls(vectors, np.percentile(amounts, 99, axis=0))


def macenko_normalisation(images: Images, references: Images) -> Images:
    """RGB images (N, H, W, 3) in the stain of the references (M, H, W, 3).

    Each image's amounts of its own stains (`Stain.of`) are scaled to the references' 99th percentiles and
    shown in the references' stains. Errors as `Stain.of`, naming the image; sizes may differ.
    """
    check_images("macenko_normalisation", images, references, colour=True, one_size=False)
    wanted = Stain.of(references)
    normalised = np.empty_like(images)
    for position, image in enumerate(images):
        try:
            own = Stain.of(image[None])
        except MedtlError as error:
            raise MedtlError(f"image {position}: {error}") from None
        amounts = _amounts(optical_density(image).reshape(-1, 3), own.vectors)
        density = amounts * (wanted.strength / own.strength) @ wanted.vectors
        normalised[position] = from_optical_density(density).reshape(image.shape)
    return normalised


def optical_density(images: Images) -> Array:
    """-ln((I + 1) / 256) of uint8 intensities: 0 for white, at most 5.5 for black (Beer and Lambert)."""
    return np.asarray(-np.log((images.astype(np.float64) + 1) / (WHITE + 1)))


def from_optical_density(density: Array) -> Images:
    """Intensities uint8 of optical densities; what lies outside 0 to 255 is cut off."""
    intensity = (WHITE + 1) * np.exp(-density) - 1
    return np.rint(np.clip(intensity, 0, WHITE)).astype(np.uint8)


def _amounts(density: Array, vectors: Array) -> Array:
    """Amounts (P, 2) of two stains (2, 3) with the least squared error in densities (P, 3)."""
    return np.asarray(density @ np.linalg.pinv(vectors))
