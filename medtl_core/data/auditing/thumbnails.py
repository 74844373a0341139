"""Small grey copies of all images of an archive, on which they are compared and probed."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def thumbnails(images: np.ndarray, side: int) -> NDArray[np.float32]:
    """(N, side, side), 0 to 255: each image as luma (ITU-R 601), averaged over boxes.

    Args:
        images: uint8 (N, H, W) or (N, H, W, 3).
        side: pixels; images that are not square are stretched to it.
    """
    small = np.empty((len(images), side, side), np.float32)
    for index, image in enumerate(images):
        grey = Image.fromarray(np.ascontiguousarray(image)).convert("L")
        small[index] = np.asarray(grey.resize((side, side), Image.Resampling.BOX))
    return small
