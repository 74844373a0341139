"""Maps laid over their images: a picture to play with, and a still one where nothing can be moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from medtl_core.errors import MedtlError
from medtl_core.explanation.explaining import Explanation
from medtl_core.explanation.figure import checked_maps, maps_figure, overlaid
from medtl_core.reporting.drawing import Drawing


class Overlay:
    """Choose case, method, layer and strength of a map over its image; a still gallery where no front end is.

    Attributes:
        widget: the ipywidgets box; its first four children are the controls, the last one is the picture.
        still: the gallery of one image that stands in for it.
    """

    def __init__(self, widget: Any, still: Drawing) -> None:
        self.widget = widget
        self.still = still

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        bundle = {"text/plain": self.still.text, "image/png": self.still.png()}
        return bundle | {
            kind: content
            for kind, content in self.widget._repr_mimebundle_().items()
            if kind.startswith("application/")
        }


def overlay(images: np.ndarray, explanations: Sequence[Explanation]) -> Overlay:
    """Widgets over the maps of several methods; maps of one method on several layers differ in their grid.

    images: as in `maps_figure`. The layers are named by the cells that they resolve. Raises MedtlError for
    what `maps_figure` refuses, and where ipywidgets is not installed.
    """
    checked_maps(images, explanations, None)
    try:
        import ipywidgets
    except ImportError as error:
        raise MedtlError("overlay: ipywidgets is not installed; pip install ipywidgets") from error
    by_method: dict[str, dict[str, Explanation]] = {}
    for explanation in explanations:
        name = explanation.method.replace("_", " ")
        by_method.setdefault(name, {})[_resolution(explanation)] = explanation
    case = ipywidgets.IntSlider(value=0, min=0, max=len(images) - 1, description="case")
    method = ipywidgets.Dropdown(options=list(by_method), description="method")
    layer = ipywidgets.Dropdown(options=list(by_method[method.value]), description="layer")
    strength = ipywidgets.FloatSlider(value=0.5, min=0, max=1, step=0.1, description="strength")
    picture = ipywidgets.Image(format="png", width=320)

    def choose_layers(_: Any) -> None:
        layer.options = list(by_method[method.value])

    def draw(_: Any = None) -> None:
        if layer.value in by_method[method.value]:  # while its options change, it is not
            chosen = by_method[method.value][layer.value]
            drawn = overlaid(images[case.value], chosen.maps[case.value], strength.value)
            picture.value = drawn.png()

    method.observe(choose_layers, names="value")
    for control in (case, method, layer, strength):
        control.observe(draw, names="value")
    draw()
    first = [replace(e, maps=e.maps[:1], method=f"{e.method}\n{_resolution(e)}") for e in explanations]
    box = ipywidgets.VBox([case, method, layer, strength, picture])
    return Overlay(box, maps_figure(images[:1], first))


def _resolution(explanation: Explanation) -> str:
    rows, columns = explanation.grid
    return f"{rows} superpixels" if columns == 1 else f"{rows} x {columns} cells"
