"""The figure of many arms in many places: a cell for each, coloured where it differs from a control."""

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from medtl_core.errors import MedtlError
from medtl_core.evaluation.metric_words import metric_in_words
from medtl_core.evaluation.rounding import number
from medtl_core.reporting.drawing import Drawing, panel
from medtl_core.reporting.style import BLUE, VERMILION, words
from medtl_core.reporting.summaries import Records, Selection, Summary, arm_summaries, pair_summaries, select

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CELL = (0.95, 0.42)  # inches
LABEL, HEADING = 1.9, 1.5  # inches for the names of arms, and for headings and the words below
NARROWEST = 6.4  # inches, so that title and explanation have their place
_CHARACTERS = 12  # of a line in a heading
_LINE = 60  # characters of a line in the explanation, which the narrowest grid has place for
_PALEST = 0.25  # share of the full colour of the smallest difference that is clear


def plot_grid(
    records: Records,
    metric: str,
    *,
    column: str = "",
    control: str | None = None,
    arms: Sequence[str] | None = None,
    labels: dict[str, str] | None = None,
    title: str = "",
    axes: "Axes | None" = None,
) -> Drawing:
    """A row for each arm, a column for each level of the factor `column`, if any, and of several data sets.

    A cell says the mean over seeds and half of its 95 % t-interval. With a `control` it is blue where the arm
    is better than the control within a seed, orange where it is worse, and white where the 95 % interval of
    the paired difference holds 0; the deeper the colour, the larger the difference. Errors as
    `summaries.select`, and MedtlError for a control that was not measured.

    >>> plot_grid(records, "auroc", column="shift", control="source_only", labels=LABELS)
    """
    import matplotlib as mpl
    import seaborn
    from matplotlib.colors import LinearSegmentedColormap

    wanted = arms if arms is None or control is None else dict.fromkeys([*arms, control])
    chosen = select(
        records, metric, by=column or (), arms=None if wanted is None else [*wanted], labels=labels
    )
    rows = list(arms) if arms is not None else chosen.arms
    if control is not None and control not in chosen.arms:
        raise MedtlError(f"control {control!r}: not in these records, which hold: {', '.join(chosen.arms)}")
    groups = [group for group, _ in chosen.groups()]
    cells = arm_summaries(chosen, rows)
    gains = [_clear_gain(one, chosen) for one in _against(control, rows, chosen)]
    largest = max(map(abs, gains), default=0.0)
    shape = len(groups), len(rows)
    with panel(axes) as drawn:
        seaborn.heatmap(
            np.reshape([_depth(gain, largest) for gain in gains], shape).T,
            annot=np.reshape([_inside(cell) for cell in cells], shape).T,
            fmt="",
            annot_kws={"fontsize": 8, "color": mpl.rcParams["text.color"]},
            cmap=LinearSegmentedColormap.from_list("worse to better", [VERMILION, "white", BLUE]),
            vmin=-1,
            vmax=1,
            cbar=False,
            linewidths=2,
            linecolor="white",
            ax=drawn,
        )
        drawn.set_xticks(drawn.get_xticks(), [_heading(group, labels) for group in groups], fontsize=8)
        drawn.set_yticks(drawn.get_yticks(), [words(arm, labels) for arm in rows], rotation=0)
        drawn.xaxis.tick_top()
        drawn.tick_params(length=0)
        drawn.set_title(textwrap.fill(title, 44), pad=12)
        name = metric_in_words(metric, labels)
        drawn.set_xlabel(_explained(name, None if control is None else words(control, labels)), fontsize=8)
    figure = drawn.get_figure(root=True)
    assert figure is not None
    size = max(NARROWEST, LABEL + CELL[0] * len(groups)), HEADING + CELL[1] * len(rows)
    if axes is None:
        figure.set_size_inches(*size)
    what = ", ".join(words(arm, labels) for arm in rows)
    return Drawing(
        figure, f"{title + ': ' if title else ''}{name} of {what}, by {column or 'data set'}", "", size
    )


def _against(control: str | None, rows: Sequence[str], chosen: Selection) -> list[Summary | None]:
    """The paired difference from the control for each group and row; None where there is none."""
    if control is None:
        return [None] * (len(rows) * sum(1 for _ in chosen.groups()))
    return list(pair_summaries(chosen, [(arm, control) for arm in rows]))


def _clear_gain(difference: Summary | None, chosen: Selection) -> float:
    """By how much an arm is better than the control; 0 where the interval holds 0 or there is none."""
    if difference is None or difference.interval is None or difference.low <= 0 <= difference.high:
        return 0.0
    return difference.mean if chosen.direction != "lower" else -difference.mean


def _depth(gain: float, largest: float) -> float:
    """Share of the full colour: above 0 for a gain, below 0 for a loss."""
    return 0.0 if not gain else math.copysign(0.6 * (_PALEST + (1 - _PALEST) * abs(gain) / largest), gain)


def _heading(group: dict[str, Any], labels: dict[str, str] | None) -> str:
    """The levels of a group, a line or more for each: `lung CT`, `São Paulo → San Diego`, `n = 64`."""
    levels = [
        words(level, labels) if isinstance(level, str) else f"{words(name, labels)} = {words(level, labels)}"
        for name, level in group.items()
    ]
    return "\n".join(textwrap.fill(level, _CHARACTERS, break_long_words=False) for level in levels)


def _inside(cell: Summary) -> str:
    if not cell.values:
        return "–"
    if cell.interval is None:
        return number(cell.mean, 2)
    return f"{number(cell.mean, 2)} ± {number((cell.high - cell.low) / 2, 2)}"


def _explained(metric: str, control: str | None) -> str:
    said = f"{metric}: mean over seeds ± half of the 95 % interval"
    if control is None:
        return said
    colours = f"blue: better than {control} in the same seed, orange: worse, white: no clear difference"
    return f"{said}\n{textwrap.fill(colours, _LINE)}"
