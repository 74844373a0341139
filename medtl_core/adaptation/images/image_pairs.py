"""Checks of the images that are changed and of those they are changed after."""

import numpy as np
from numpy.typing import NDArray

from medtl_core.errors import MedtlError

Images = NDArray[np.uint8]


def check_images(method: str, images: Images, references: Images, *, colour: bool, one_size: bool) -> None:
    """MedtlError unless both are uint8 (N, H, W) or (N, H, W, 3), of the same channels, and not empty.

    colour: RGB only. one_size: H and W must agree between the two.
    """
    for name, given in (("images", images), ("references", references)):
        rgb = given.ndim == 4 and given.shape[-1] == 3
        if given.dtype != np.uint8 or not (given.ndim == 3 or rgb) or given.size == 0:
            raise MedtlError(
                f"{method}: {name} {given.dtype} {given.shape}, expected uint8 (N, H, W) or (N, H, W, 3)"
            )
        if colour and not rgb:
            raise MedtlError(f"{method}: {name} are grey, expected RGB; match histograms instead")
    if images.ndim != references.ndim:
        raise MedtlError(
            f"{method}: images {images.shape} and references {references.shape}, expected one of grey or RGB"
        )
    if one_size and images.shape[1:3] != references.shape[1:3]:
        height, width = references.shape[1:3]
        raise MedtlError(
            f"{method}: images of {images.shape[1]} x {images.shape[2]} px, references of "
            f"{height} x {width}; bring both to one size"
        )
