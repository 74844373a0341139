"""Explanations beside their images, and one map laid over its image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from medtl_core.errors import MedtlError
from medtl_core.explanation.explaining import Explanation
from medtl_core.reporting.drawing import Drawing, new_figure
from medtl_core.reporting.style import QUIET, VERMILION, rc_params

SIDE = 1.45  # inches


def maps_figure(
    images: np.ndarray,
    explanations: Sequence[Explanation],
    masks: np.ndarray | None = None,
    scores: Mapping[str, Mapping[str, float]] | None = None,
) -> Drawing:
    """A row for each image: the image with the outline of its mask, then the map of each method.

    images: (N, H, W) or (N, H, W, 3), uint8 or floats in 0 to 1; masks: (N, H, W), 0 outside; scores: for
    each method, by name, what the judges say, by name, below its title. Every map is divided by its largest
    absolute value, so that all share the scale from -1 (against the class) through 0 to 1 (for it).

    Raises MedtlError for no image or explanation, and maps or masks of another shape.
    """
    import matplotlib as mpl

    maps = checked_maps(images, explanations, masks)
    columns = len(explanations) + 1
    lines = [_heading(explanation, scores) for explanation in explanations]
    most = max(line.count("\n") for line in lines) + 1
    with mpl.rc_context(rc_params()):
        figure = new_figure()
        panels = figure.subplots(len(images), columns, squeeze=False)
        for row, image in enumerate(images):
            _show(panels[row][0], image, None if masks is None else masks[row])
            for column, values in enumerate(maps):
                panels[row][column + 1].imshow(values[row], cmap="RdBu_r", vmin=-1, vmax=1)
                if masks is not None:
                    _outline(panels[row][column + 1], masks[row])
        for axes in panels.flat:
            axes.set_axis_off()
        for axes, line in zip(panels[0], ["image", *lines], strict=True):
            axes.set_title(line, fontsize=8.5, loc="center", pad=3)
        figure.colorbar(panels[0][-1].images[0], ax=list(panels.flat), shrink=0.7, pad=0.01)
        outline = "" if masks is None else "; outline: mask"
        caption = f"each map over its largest absolute value: red for the class, blue against it{outline}"
        figure.supxlabel(caption, fontsize=9, color=QUIET, x=0.01, ha="left")
        figure.set_size_inches(columns * SIDE + 0.8, len(images) * (SIDE + 0.05) + 0.16 * most + 0.3)
    many = f"{len(images)} image{'s' if len(images) > 1 else ''}"
    return Drawing(figure, f"{many}: {'; '.join(' '.join(line.split()) for line in lines)}; {caption}")


def overlaid(image: np.ndarray, values: Tensor, strength: float = 0.5) -> Drawing:
    """One map (H, W), over its largest absolute value, on its image, with opacity `strength` (0 to 1)."""
    import matplotlib as mpl

    if not 0 <= strength <= 1:
        raise MedtlError(f"overlaid: strength is {strength}, expected 0 to 1")
    with mpl.rc_context(rc_params()):
        figure = new_figure()
        axes = figure.subplots()
        _show(axes, image, None)
        axes.imshow(_scaled(values[None])[0], cmap="RdBu_r", vmin=-1, vmax=1, alpha=strength)
        axes.set_axis_off()
        figure.set_size_inches(2.6, 2.6)
    return Drawing(figure, "a map over its image: red for the class, blue against it")


def checked_maps(
    images: np.ndarray, explanations: Sequence[Explanation], masks: np.ndarray | None
) -> list[np.ndarray]:
    """The maps (N, H, W) of each explanation, over their largest absolute values; errors as `maps_figure`."""
    if not len(images) or not explanations:
        raise MedtlError(
            f"maps_figure: {len(images)} images and {len(explanations)} explanations, expected some of each"
        )
    expected = tuple(images.shape[:3])
    shapes = {explanation.method: tuple(explanation.maps.shape) for explanation in explanations}
    if masks is not None:
        shapes["masks"] = tuple(masks.shape)
    for name, shape in shapes.items():
        if shape != expected:
            raise MedtlError(f"maps_figure: {name} is {shape}, expected {expected} as the images")
    return [_scaled(explanation.maps) for explanation in explanations]


def _scaled(maps: Tensor) -> np.ndarray:
    largest = maps.abs().amax((1, 2), keepdim=True)
    return np.asarray((maps / largest.masked_fill(largest == 0, 1)).cpu())


def _heading(explanation: Explanation, scores: Mapping[str, Mapping[str, float]] | None) -> str:
    judged = (scores or {}).get(explanation.method, {})
    said = [f"{name.replace('_', ' ')} {value:.2f}" for name, value in judged.items()]
    return "\n".join([explanation.method.replace("_", " "), *said])


def _show(axes: Any, image: np.ndarray, mask: np.ndarray | None) -> None:
    axes.imshow(image, cmap="gray", vmin=0, vmax=255 if image.dtype == np.uint8 else 1)
    if mask is not None:
        _outline(axes, mask)


def _outline(axes: Any, mask: np.ndarray) -> None:
    if np.any(mask > 0):
        padded = np.pad((mask > 0).astype(float), 1)  # closes an outline that touches the border
        height, width = padded.shape
        axes.contour(
            np.arange(width) - 1,
            np.arange(height) - 1,
            padded,
            levels=[0.5],
            colors=[VERMILION],
            linewidths=1.2,
        )
        axes.set_xlim(-0.5, width - 2.5)
        axes.set_ylim(height - 2.5, -0.5)
