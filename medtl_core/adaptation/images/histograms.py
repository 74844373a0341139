"""Histogram matching: each image's grey values take the distribution of the target's."""

import numpy as np
from numpy.typing import NDArray

from medtl_core.adaptation.images.image_pairs import check_images

Images = NDArray[np.uint8]


def match_histograms(images: Images, references: Images) -> Images:
    """Images (N, H, W) or (N, H, W, 3) with, per channel, the histogram of all references (M, ...) together.

    A value of cumulative share q becomes the references' value of share q, interpolated as in scikit-image,
    by one table of 256 values an image. Every image gets the same histogram: differences of brightness
    between images are lost, also those between classes.
    MedtlError for other types and shapes; sizes may differ.
    """
    check_images("match_histograms", images, references, colour=False, one_size=False)
    matched = np.empty_like(images)
    for channel in [...] if images.ndim == 3 else [(..., c) for c in range(3)]:
        values, shares = _cumulative(references[channel])
        for image, out in zip(images[channel], matched[channel], strict=True):
            present, own = _cumulative(image)
            table = np.zeros(256)
            table[present] = np.interp(own, shares, values)
            out[...] = np.rint(table).astype(np.uint8)[image]
    return matched


def _cumulative(pixels: Images) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Values that occur, and the share of pixels up to each."""
    counts = np.bincount(pixels.ravel(), minlength=256)
    present = np.flatnonzero(counts)
    return present, np.cumsum(counts[present]) / pixels.size
