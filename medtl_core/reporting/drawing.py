"""A figure that shows itself, sharply and with a text for those who do not see it."""

import io
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from medtl_core.files import write_atomically
from medtl_core.fonts import any_script
from medtl_core.reporting.style import rc_params

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PIXELS_PER_INCH = 96
SHARPNESS = 2
"""Pixels of the picture for each pixel of the page, along a side."""
UNEVEN = 2.0
"""A panel so many times as high as another leaves half of the other's place empty."""


@dataclass(frozen=True)
class Drawing:
    """A figure of matplotlib that a notebook shows wherever it stands, without pyplot.

    `text` says what is drawn, in one line: screen readers and terminals get it. `scores` is the axis that
    the metric runs along (x, y; empty: none), `size` the width and height that the panel needs, in inches;
    `settle` puts labels in their places again after the range of an axis has changed.
    """

    figure: "Figure"
    text: str
    scores: Literal["x", "y", ""] = ""
    size: tuple[float, float] = (0.0, 0.0)
    settle: Callable[[], None] = lambda: None

    def __repr__(self) -> str:
        return f"figure: {' '.join(self.text.split())}"

    def png(self) -> bytes:
        """The figure as PNG at twice the resolution of the page."""
        import matplotlib as mpl

        # A dollar sign in a name is a dollar sign, not mathematics.
        from matplotlib.text import Text

        for text in self.figure.findobj(Text):
            text.set_parse_math(False)
        buffer = io.BytesIO()
        with mpl.rc_context(rc_params()), any_script():
            self.figure.savefig(
                buffer, format="png", dpi=PIXELS_PER_INCH * SHARPNESS, metadata={"Software": None}
            )
        return buffer.getvalue()

    def save(self, path: str | Path) -> None:
        """Write the figure as PNG; MedtlError where it cannot be written."""
        content = self.png()
        write_atomically(Path(path), lambda file: file.write(content))

    def _repr_png_(self) -> bytes:
        return self.png()

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        width, height = (round(side * PIXELS_PER_INCH) for side in self.figure.get_size_inches())
        data = {"image/png": self.png(), "text/plain": repr(self)}
        return data, {"image/png": {"width": width, "height": height, "alt": repr(self)}}


@contextmanager
def panel(axes: "Axes | None") -> Iterator["Axes"]:
    """The axes to draw on: those given, else those of a figure of its own; in the look of the package."""
    import matplotlib as mpl

    with mpl.rc_context(rc_params()):
        yield axes if axes is not None else new_figure().subplots()


def new_figure() -> "Figure":
    """An empty figure whose parts make room for one another; pyplot does not know of it."""
    from matplotlib.figure import Figure

    return Figure(layout="constrained")


def finished(
    axes: "Axes",
    given: "Axes | None",
    text: str,
    scores: Literal["x", "y"],
    size: tuple[float, float],
    settle: Callable[[], None] = lambda: None,
) -> Drawing:
    """The drawing of one panel; a figure of its own takes the panel's size."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    if given is None:
        figure.set_size_inches(*size)
    settle()
    return Drawing(figure, text, scores, size, settle)


def panels(
    draw: Sequence[Callable[["Axes"], Drawing]],
    *,
    columns: int = 2,
    same_range: bool = False,
    stack_uneven: bool = False,
) -> Drawing:
    """Several drawings as the panels of one figure, `columns` a row.

    Each function draws on the axes that it is given. With `same_range` all panels have the same range along
    the metric's axis, so that equal lengths mean equal numbers: for one metric in several records. With
    `stack_uneven` the panels stand below each other where one beside another would be mostly empty.

    >>> panels([lambda axes, m=m: plot_arms(records, m, axes=axes) for m in ("auroc", "ece")])
    """
    import matplotlib as mpl

    with mpl.rc_context(rc_params()):
        figure = new_figure()
        columns = min(columns, len(draw))
        rows = math.ceil(len(draw) / columns)
        grid = figure.subplots(rows, columns, squeeze=False)
        places = list(grid.flat)
        drawn = [function(axes) for function, axes in zip(draw, places, strict=False)]
        if stack_uneven and columns > 1 and _uneven([one.size[1] for one in drawn]):
            return panels(draw, columns=1, same_range=same_range)
        for spare in places[len(draw) :]:
            spare.set_axis_off()
        for first in range(0, len(drawn), columns):
            beside = list(zip(places, drawn, strict=False))[first : first + columns]
            _share_rows([axes for axes, one in beside if one.scores == "x"])
        for axis in ("x", "y") if same_range else ():
            _share_range([axes for axes, one in zip(places, drawn, strict=False) if one.scores == axis], axis)
        width = max((one.size[0] for one in drawn), default=0.0) * columns
        heights = [
            max(one.size[1] for one in drawn[first : first + columns])
            for first in range(0, len(drawn), columns)
        ]
        grid[0, 0].get_gridspec().set_height_ratios(heights)
        figure.set_size_inches(width, sum(heights))
        for one in drawn:
            one.settle()
    return Drawing(figure, "; ".join(one.text for one in drawn))


def _uneven(heights: Sequence[float]) -> bool:
    return max(heights) > UNEVEN * min(heights)


def _share_rows(places: Sequence["Axes"]) -> None:
    """Give panels that stand beside each other rows of the same height: the shorter one ends earlier."""
    lowest = max((axes.get_ylim()[0] for axes in places), default=0.0)
    for axes in places:
        axes.set_ylim(bottom=lowest)


def _share_range(places: Sequence["Axes"], axis: str) -> None:
    if len(places) < 2:
        return
    limits = [getattr(axes, f"get_{axis}lim")() for axes in places]
    widest = min(low for low, _ in limits), max(high for _, high in limits)
    for axes in places:
        getattr(axes, f"set_{axis}lim")(widest)
