"""Contrast-limited adaptive histogram equalisation (CLAHE) of whole image sets."""

import numpy as np
from numpy.typing import NDArray
from skimage.exposure import equalize_adapthist

from medtl_core.errors import MedtlError


def apply_clahe(images: NDArray[np.uint8], clip_limit: float = 0.02, tiles: int = 4) -> NDArray[np.uint8]:
    """Stretch each image to its full grey range, then apply CLAHE; the result has the shape of `images`.

    images: uint8 (N, H, W), or (N, H, W, 3), where the value channel of HSV is equalised; clip_limit: the
    largest share of a tile's pixels in one of 256 grey levels, above 0 to 1 (1: nothing is clipped, plain
    adaptive equalisation); tiles: per side, 1 to half the shorter side. Raises MedtlError for anything else.

    Zuiderveld, Contrast limited adaptive histogram equalization, Graphics Gems IV, 1994; stretching first
    makes it the N-CLAHE of Horry et al., IEEE Access 8, 2020.
    """
    colour = images.ndim == 4 and images.shape[-1] == 3
    if images.dtype != np.uint8 or not (images.ndim == 3 or colour):
        raise MedtlError(
            f"clahe: images {images.dtype} {images.shape}, expected uint8 (N, H, W) or (N, H, W, 3)"
        )
    height, width = images.shape[1:3]
    if not (0 < clip_limit <= 1 and 1 <= tiles <= min(height, width) // 2):
        raise MedtlError(
            f"clahe: clip_limit {clip_limit} and {tiles} tiles, "
            f"expected above 0 to 1, and 1 to {min(height, width) // 2} for images of {height} x {width} px"
        )
    kernel = (-(-height // tiles), -(-width // tiles))
    equalised = np.empty_like(images)
    for i, image in enumerate(images):
        if image.min() == image.max():
            equalised[i] = image  # a flat image has no contrast to limit, and stretching it divides by 0
        else:
            equalised[i] = np.rint(255 * equalize_adapthist(image, kernel, clip_limit=clip_limit))
    return equalised
