"""Reinhard colour normalisation (Reinhard et al. 2001): the target's mean and spread of colour."""

import numpy as np
from numpy.typing import NDArray
from skimage.color import lab2rgb, rgb2lab

from medtl_core.adaptation.images.image_pairs import check_images

Images = NDArray[np.uint8]
Array = NDArray[np.float64]


def reinhard_normalisation(images: Images, references: Images) -> Images:
    """RGB images (N, H, W, 3) with the references' (M, H, W, 3) mean and standard deviation per Lab channel.

    (x - mean) std_ref / std + mean_ref per image, the references' pixels taken together (Reinhard et al.
    2001, eq. 10 and 11), in CIELAB, as is usual for stain; the paper has Ruderman's lab space. A channel that
    does not vary within an image gets the mean alone. Colours that sRGB does not have are cut off. MedtlError
    for grey images and other types; sizes may differ.
    """
    check_images("reinhard_normalisation", images, references, colour=True, one_size=False)
    mean, spread = _moments(rgb2lab(references / 255.0))
    normalised = np.empty_like(images)
    for image, out in zip(images, normalised, strict=True):
        lab = rgb2lab(image / 255.0)
        own_mean, own_spread = _moments(lab)
        ratio = np.divide(spread, own_spread, out=np.zeros(3), where=own_spread > 1e-6)
        colour = lab2rgb((lab - own_mean) * ratio + mean)
        out[...] = np.rint(255 * np.clip(colour, 0, 1))
    return normalised


def _moments(lab: Array) -> tuple[Array, Array]:
    pixels = lab.reshape(-1, 3)
    return pixels.mean(axis=0), pixels.std(axis=0)
