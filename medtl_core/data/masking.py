"""Image sets with their centre or their background hidden: controls for cues that are not the disease."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from medtl_core.data.archives.archive import Archive

BLACK = 0  # grey level of hidden pixels


def inscribed_ellipse(height: int, width: int) -> NDArray[np.bool_]:
    """(height, width), true where a pixel's centre lies in the largest ellipse that fits into the image."""
    y = (2 * np.arange(height) + 1) / height - 1
    x = (2 * np.arange(width) + 1) / width - 1
    return np.add.outer(y**2, x**2) <= 1


def mask_out(archive: Archive, hidden: NDArray[np.bool_]) -> Archive:
    """A copy of the archive whose images are black where `hidden` (H, W) or (N, H, W) is true."""
    where = np.broadcast_to(hidden, archive.images.shape[:3])
    images = archive.images.copy()
    images[where] = BLACK
    return replace(archive, images=images)


def background_only(archive: Archive) -> Archive:
    """The corners of each image: everything inside the inscribed ellipse is hidden.

    The hidden region is the same in every image, so its outline says nothing about a class. In slices and
    radiographs that are centred on the body the corners hold its margin, air, table and stamped marks.
    """
    return mask_out(archive, inscribed_ellipse(archive.height, archive.width))


def centre_only(archive: Archive) -> Archive:
    """The counterpart of `background_only`: the corners are hidden."""
    return mask_out(archive, ~inscribed_ellipse(archive.height, archive.width))
