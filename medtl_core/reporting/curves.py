"""The figure of a course: a metric along a factor, one line an arm."""

import math
import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from medtl_core.errors import MedtlError
from medtl_core.evaluation.metric_words import chance_of, metric_in_words, range_of
from medtl_core.reporting.arms import Bounds, keep_within, mark_chance, set_scale
from medtl_core.reporting.drawing import Drawing, finished, panel
from medtl_core.reporting.places import PLACE
from medtl_core.reporting.rows import WIDTH, what_is_shown
from medtl_core.reporting.style import BLUE, colours_of, words
from medtl_core.reporting.summaries import Records, Summary, arm_summaries, select

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEIGHT = 3.5
_APART = 0.075  # of the axis: distance between the labels of two lines
_NAME_CHARACTERS = 24
_BESIDE = 5.0  # points: single seeds stand to the right of the interval, so that neither hides the other
_MARKERS = "osD^vPX*"


def plot_curves(
    records: Records,
    metric: str,
    x: str,
    *,
    arms: Sequence[str] | None = None,
    average_over: str | Sequence[str] = (),
    order: Sequence[Any] | None = None,
    labels: dict[str, str] | None = None,
    title: str = "",
    x_scale: Literal["linear", "log2", "log10"] = "linear",
    scale: Literal["linear", "log"] = "linear",
    bounds: Bounds | None = None,
    axes: "Axes | None" = None,
) -> Drawing:
    """Means over seeds along the factor `x` with 95 % t-intervals; a line an arm, single seeds as dots.

    `x="arm"` puts the arms themselves on the axis (cut points, say) and draws one line. Levels that are
    numbers stand at their value, on the scale that `x_scale` says; texts stand side by side, in the order
    of `order` or of the records. Arms are named at the end of their lines. Otherwise as `arms.plot_arms`.

    MedtlError for records of several data sets or domains: each needs a panel of its own (`side_by_side`,
    `panels`).

    >>> plot_curves(records, "auroc", "n", x_scale="log2", labels={"n": "training images"})
    """
    along_arms = x == "arm"
    chosen = select(
        records, metric, by=() if along_arms else x, average_over=average_over, arms=arms, labels=labels
    )
    if PLACE in chosen.by:
        places = ", ".join(dict.fromkeys(chosen.frame[PLACE]))
        raise MedtlError(f"curves: records of {places}, expected one data set; give each a panel of its own")
    summaries = [s for s in arm_summaries(chosen, arms) if s.values]
    levels = _levels(summaries, x, order)
    numeric = not along_arms and not any(isinstance(level, str | bool) for level in levels)
    lines = [""] if along_arms else list(dict.fromkeys(s.arms[0] for s in summaries))
    colours = {"": BLUE} if along_arms else colours_of(lines)
    low, high = range_of(metric) if bounds is None else bounds
    with panel(axes) as drawn:
        places_of = _places(levels, x_scale if numeric else "linear", numeric)
        ends = []
        for number, arm in enumerate(lines):
            mine = [s for s in summaries if along_arms or s.arms[0] == arm]
            mine.sort(key=lambda s: places_of[_level(s, x)])
            shift = (number - (len(lines) - 1) / 2) * min(0.11, 0.4 / max(len(lines) - 1, 1))
            marker = _MARKERS[number % len(_MARKERS)]
            _draw_line(drawn, [places_of[_level(s, x)] + shift for s in mine], mine, colours[arm], marker)
            ends.append(
                (mine[-1].mean, places_of[_level(mine[-1], x)] + shift, words(arm, labels), colours[arm])
            )
        _name_levels(drawn, places_of, labels, numeric)
        set_scale(drawn, "y", scale)
        keep_within(drawn, "y", (low, high), summaries)
        show_chance = mark_chance(drawn, "y", chance_of(metric))
        name = metric_in_words(metric, labels)
        drawn.set_ylabel(name)
        scaled = f", {x_scale} scale" if numeric and x_scale != "linear" else ""
        along = words("" if along_arms and "arm" not in (labels or {}) else x, labels)
        drawn.set_xlabel(f"{along}{scaled}\n{what_is_shown(summaries)}".strip())
        drawn.set_title(title)
        spread_names = _name_lines(drawn, [] if along_arms else ends)
    text = f"{title + ': ' if title else ''}{name} along {words(x, labels)}"
    width = WIDTH if numeric else max(WIDTH, 1.4 + 0.38 * len(levels))

    def settle() -> None:
        show_chance()
        spread_names()

    return finished(drawn, axes, text, "y", (width, HEIGHT), settle)


def _level(summary: Summary, x: str) -> Any:
    return summary.arms[0] if x == "arm" else summary.group[x]


def _levels(summaries: Sequence[Summary], x: str, order: Sequence[Any] | None) -> list[Any]:
    found = list(dict.fromkeys(_level(s, x) for s in summaries))
    if order is None:
        return found if any(isinstance(level, str) for level in found) else sorted(found)
    if lacking := [level for level in found if level not in order]:
        raise MedtlError(f"order: {lacking[0]!r} of {x} is not in it, expected every level: {found}")
    return [level for level in order if level in found]


def _places(levels: Sequence[Any], scale: str, numeric: bool) -> dict[Any, float]:
    """Where each level stands, in units of the mean distance between neighbours."""
    if not numeric:
        return {level: float(place) for place, level in enumerate(levels)}
    if scale != "linear" and min(levels) <= 0:
        raise MedtlError(f"x_scale: {scale} needs levels above 0, found {min(levels)}; use linear")
    value: Callable[[float], float] = {"linear": float, "log2": math.log2, "log10": math.log10}[scale]
    numbers = [value(level) for level in levels]
    step = (numbers[-1] - numbers[0]) / (len(numbers) - 1) if len(numbers) > 1 else 1.0
    return {level: (number - numbers[0]) / step for level, number in zip(levels, numbers, strict=True)}


def _draw_line(axes: "Axes", x: list[float], summaries: list[Summary], colour: str, marker: str) -> None:
    from matplotlib.transforms import ScaledTranslation

    figure = axes.get_figure(root=True)
    assert figure is not None
    beside = ScaledTranslation(_BESIDE / 72, 0.0, figure.dpi_scale_trans)
    axes.plot(x, [s.mean for s in summaries], color=colour, linewidth=1.6, zorder=2)
    for place, s in zip(x, summaries, strict=True):
        if s.interval is not None:
            axes.plot(
                [place, place], [s.low, s.high], color=colour, linewidth=2.4, solid_capstyle="butt", zorder=2
            )
            values = list(s.values.values())
            axes.plot(
                [place] * len(values), values, "o", color=colour, markersize=2.8, alpha=0.55,
                markeredgewidth=0, zorder=3, clip_on=False, transform=axes.transData + beside,
            )  # fmt: skip
    axes.plot(
        x, [s.mean for s in summaries], marker, color=colour, markersize=5.5, markeredgecolor="white",
        markeredgewidth=0.8, zorder=4, clip_on=False,
    )  # fmt: skip


def _name_levels(
    axes: "Axes", places: dict[Any, float], labels: dict[str, str] | None, numeric: bool
) -> None:
    names = [words(level, labels) for level in places]
    axes.set_xticks(list(places.values()), names)
    if not numeric and sum(len(name) + 2 for name in names) > 44:
        for tick in axes.get_xticklabels():
            tick.set(rotation=55, ha="right", rotation_mode="anchor", fontsize=8.5)
    axes.set_xlim(-0.3, max(places.values(), default=0.0) + 0.3)
    axes.grid(visible=False, axis="x")


def _name_lines(axes: "Axes", ends: Sequence[tuple[float, float, str, str]]) -> Callable[[], None]:
    """Write each arm's name beside the end of its line; the function that is returned spreads the names."""
    names = [textwrap.fill(name, _NAME_CHARACTERS) for _, _, name, _ in ends]
    apart = _APART * max((name.count("\n") + 1 for name in names), default=1)
    texts = [
        axes.text(
            1.06,
            0.0,
            name,
            transform=axes.transAxes,
            color=colour,
            va="center",
            fontsize=9.5,
            fontweight="bold",
        )
        for name, (*_, colour) in zip(names, ends, strict=True)
    ]
    leaders = [
        axes.plot([], [], color=colour, linewidth=0.7, alpha=0.6, clip_on=False)[0] for *_, colour in ends
    ]

    def settle() -> None:
        to_axes = axes.transData + axes.transAxes.inverted()
        points = [to_axes.transform((x, y)) for y, x, _, _ in ends]
        for text, leader, point, y in zip(
            texts, leaders, points, spread([float(p[1]) for p in points], apart), strict=True
        ):
            text.set_y(y)
            leader.set_transform(axes.transAxes)
            leader.set_data([float(point[0]) + 0.015, 1.05], [float(point[1]), y])

    return settle


def spread(wanted: Sequence[float], apart: float, low: float = 0.0, high: float = 1.0) -> list[float]:
    """Places as near as possible to those wanted, in the same order, at least `apart` from one another.

    They stay between `low` and `high` if there is room.

    Neighbours that are too close are joined into blocks that stand around the mean of what they want, as in
    isotonic regression.
    """
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    blocks: list[list[float]] = []
    for rank, i in enumerate(order):
        blocks.append([wanted[i] - rank * apart])
        while len(blocks) > 1 and sum(blocks[-2]) / len(blocks[-2]) > sum(blocks[-1]) / len(blocks[-1]):
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    flat = [sum(block) / len(block) for block in blocks for _ in block]
    flat = [max(low, min(place, high - (len(wanted) - 1) * apart)) for place in flat]
    found = [0.0] * len(wanted)
    for rank, i in enumerate(order):
        found[i] = flat[rank] + rank * apart
    return found
