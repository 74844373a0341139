"""The frame: how an image of any shape becomes a square of uint8 grey values."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from medtl_core.data.importers.window import Window
from medtl_core.errors import MedtlError

FITS = ("pad", "crop")
COLOURS = ("grey", "rgb")
PLANES = {"sagittal": 0, "coronal": 1, "axial": 2}
"""Slices by the axis of the patient (right, front, head) that they stand across."""
LARGEST = 4096
_SAME_SPACING = 0.01  # a difference of 1 % in the side of a pixel is no reason to resample


@dataclass(frozen=True)
class Frame:
    """What every image of an archive becomes.

    Attributes:
        size: pixels a side.
        fit: `pad` keeps the whole image, centred on black; `crop` keeps the central square.
        colours: `grey` or `rgb`; None: as the file is, and in an archive RGB if any file is in colour.
        plane: along which volumes are cut into slices, axial, coronal or sagittal.
        window: for images of more than 8 bits; None: what a DICOM file says, an error for other files.
    """

    size: int
    fit: str = "pad"
    colours: str | None = None
    window: Window | None = None
    plane: str = "axial"

    def __post_init__(self) -> None:
        if not 1 <= self.size <= LARGEST:
            raise MedtlError(f"--size: found {self.size}, expected 1 to {LARGEST} pixels a side")
        if self.fit not in FITS:
            raise MedtlError(f"--fit: found '{self.fit}', expected {' or '.join(FITS)}")
        if self.colours is not None and self.colours not in COLOURS:
            raise MedtlError(f"--colours: found '{self.colours}', expected {' or '.join(COLOURS)}")
        if self.plane not in PLANES:
            raise MedtlError(f"--plane: found '{self.plane}', expected {' or '.join(PLANES)}")

    def square(self, image: Image.Image, spacing: tuple[float, float] = (1.0, 1.0)) -> NDArray[np.uint8]:
        """A Pillow image of mode L, RGB or F (0..255) as uint8 (size, size), or RGB (size, size, 3).

        It is resampled with anti-aliasing where its size differs.

        Args:
            spacing: height and width of a pixel, in any unit; pixels that are not square are made so first.
        """
        fitted = self._fit(_isotropic(image, spacing, Image.Resampling.BILINEAR), Image.Resampling.BILINEAR)
        if fitted.mode == "F":
            grey = np.clip(np.rint(np.asarray(fitted)), 0, 255).astype(np.uint8)
            fitted = Image.fromarray(grey)
        mode = {"grey": "L", "rgb": "RGB", None: fitted.mode}[self.colours]
        return np.asarray(fitted if fitted.mode == mode else fitted.convert(mode))

    def square_mask(self, mask: Image.Image, spacing: tuple[float, float] = (1.0, 1.0)) -> NDArray[np.uint8]:
        """A mask of mode L as uint8 (size, size), by the nearest pixel; no new values appear."""
        return np.asarray(
            self._fit(_isotropic(mask, spacing, Image.Resampling.NEAREST), Image.Resampling.NEAREST)
        )

    def _fit(self, image: Image.Image, method: Image.Resampling) -> Image.Image:
        side = (self.size, self.size)
        if image.size == side:
            return image
        return ImageOps.pad(image, side, method) if self.fit == "pad" else ImageOps.fit(image, side, method)


def _isotropic(image: Image.Image, spacing: tuple[float, float], method: Image.Resampling) -> Image.Image:
    height, width = spacing
    if abs(height / width - 1) < _SAME_SPACING:
        return image
    finest = min(spacing)
    target = (max(1, round(image.width * width / finest)), max(1, round(image.height * height / finest)))
    return image.resize(target, method)
