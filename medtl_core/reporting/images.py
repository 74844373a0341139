"""Images beside one another, on one scale that is said, with masks drawn over them where asked."""

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from medtl_core.errors import MedtlError
from medtl_core.evaluation.rounding import number
from medtl_core.reporting.drawing import Drawing, new_figure
from medtl_core.reporting.style import QUIET, VERMILION, rc_params

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIDE = 1.55  # inches
WIDEST = 9.6  # inches: the width of a page
_TITLE_CHARACTERS = 22


def strip(
    images: Sequence[ArrayLike] | np.ndarray,
    titles: Sequence[str] = (),
    *,
    columns: int = 6,
    masks: Sequence[ArrayLike] | None = None,
    value_range: tuple[float, float] | None = None,
    colour_map: str = "gray",
    caption: str = "",
    side: float = SIDE,
) -> Drawing:
    """Show images, `columns` a row, all on the same scale, which the line below states.

    `images` are (H, W) or (H, W, 3), uint8 or float, each of any size. Without `value_range` the scale is 0
    to 255 for uint8 (RGB floats: 0 to 1), else from the smallest to the largest value of all. `masks` (H,
    W), booleans or numbers (0: outside), are outlined; None in their place: no mask. A `colour_map` other
    than `gray` gets a colour bar; one for signed values wants a range that is symmetric about 0. `caption`
    stands before the scale; `side` is an image's width in inches.

    Raises MedtlError for no image, another shape, values that are not finite, and titles or masks of another
    number than the images.

    >>> strip(images[:4], ["benign", "benign", "malignant", "malignant"], masks=masks[:4])
    """
    import matplotlib as mpl

    arrays = [_checked_image(image, place) for place, image in enumerate(images)]
    if not arrays:
        raise MedtlError("images: none found, expected at least one")
    for name, found in (("titles", titles), ("masks", masks if masks is not None else ())):
        if len(found) and len(found) != len(arrays):
            raise MedtlError(f"{name}: {len(found)} found for {len(arrays)} images, expected one each")
    low, high = value_range if value_range is not None else _scale(arrays)
    columns = max(1, min(columns, len(arrays), int(WIDEST / side)))
    rows = math.ceil(len(arrays) / columns)
    named = [textwrap.fill(str(title), _TITLE_CHARACTERS) for title in titles]
    heading = 0.06 + 0.17 * max((name.count("\n") + 1 for name in named), default=0)
    with mpl.rc_context(rc_params()):
        figure = new_figure()
        grid = figure.subplots(rows, columns, squeeze=False)
        panels = list(grid.flat)
        for axes in panels:
            axes.set_axis_off()
        for place, (axes, image) in enumerate(zip(panels, arrays, strict=False)):
            axes.imshow(image, cmap=colour_map, vmin=low, vmax=high, interpolation="nearest")
            if named:
                axes.set_title(named[place], fontsize=9, loc="center", pad=3)
            if masks is not None and masks[place] is not None:
                _outline(axes, masks[place], image, place)
        colour = all(image.ndim == 3 for image in arrays)
        if colour_map != "gray" and not colour:
            figure.colorbar(panels[0].images[0], ax=panels, shrink=0.85, pad=0.02)
        width = max(columns * side + (0.8 if colour_map != "gray" else 0.0), 3.2)
        line = textwrap.fill(_caption(caption, low, high, colour, colour_map, masks), int(width * 15))
        figure.supxlabel(line, fontsize=9, color=QUIET, x=0.01, ha="left")
        figure.set_size_inches(width, rows * (side + heading) + 0.2 + 0.16 * (line.count("\n") + 1))
    many = f"{len(arrays)} image{'s' if len(arrays) > 1 else ''}"
    listed = ", ".join(dict.fromkeys(str(title) for title in titles))
    return Drawing(figure, f"{many}{': ' + listed if listed else ''}; {' '.join(line.split())}")


def _checked_image(image: ArrayLike, place: int) -> np.ndarray:
    array = np.asarray(image)
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[-1] == 3)) or array.size == 0:
        raise MedtlError(f"image {place}: shape {array.shape}, expected (H, W) or (H, W, 3)")
    if not np.issubdtype(array.dtype, np.number) and array.dtype != bool:
        raise MedtlError(f"image {place}: values of type {array.dtype}, expected numbers")
    if not np.isfinite(array).all():
        raise MedtlError(f"image {place}: holds values that are not finite, expected numbers alone")
    return array.astype(float) if array.dtype == bool else array


def _scale(arrays: Sequence[np.ndarray]) -> tuple[float, float]:
    if all(array.dtype == np.uint8 for array in arrays):
        return 0.0, 255.0
    if all(array.ndim == 3 for array in arrays):
        return 0.0, 1.0
    low, high = min(float(a.min()) for a in arrays), max(float(a.max()) for a in arrays)
    return (low, high) if low < high else (low - 0.5, high + 0.5)


def _outline(axes: "Axes", mask: ArrayLike, image: np.ndarray, place: int) -> None:
    inside = np.asarray(mask) > 0
    if inside.shape != image.shape[:2]:
        raise MedtlError(f"mask {place}: shape {inside.shape}, expected that of its image, {image.shape[:2]}")
    # A rim of zeros closes the outline of a mask that touches the border.
    padded = np.pad(inside.astype(float), 1)
    height, width = padded.shape
    axes.contour(
        np.arange(width) - 1, np.arange(height) - 1, padded, levels=[0.5], colors=[VERMILION], linewidths=1.3
    )
    axes.set_xlim(-0.5, image.shape[1] - 0.5)
    axes.set_ylim(image.shape[0] - 0.5, -0.5)


def _caption(caption: str, low: float, high: float, colour: bool, colour_map: str, masks: Any) -> str:
    decimals = 0 if high - low >= 10 or (float(low).is_integer() and float(high).is_integer()) else 2
    ends = f"{number(low, decimals)} to {number(high, decimals)}"
    if colour:
        scale = f"colours from {ends} per channel"
    elif colour_map == "gray":
        scale = f"grey from {number(low, decimals)} (black) to {number(high, decimals)} (white)"
    else:
        scale = f"colours from {ends}"
    parts = [caption, scale, "outline: mask" if masks is not None else ""]
    return "; ".join(part for part in parts if part)
