"""Rows of intervals: what the figures of arms and of differences have in common."""

import statistics
import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from medtl_core.evaluation.rounding import counted, decimals_for, number
from medtl_core.reporting.places import PLACE
from medtl_core.reporting.style import QUIET, words
from medtl_core.reporting.summaries import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROW = 0.36  # inches
LINE = 0.17  # inches for a further line of text in a label
FRAME = 1.05  # inches for title and axis
WIDTH = 4.9  # inches: two panels fill a page
NO_BREAK = "\N{NO-BREAK SPACE}"
_LABEL_CHARACTERS = 24
_HEADING_CHARACTERS = 28
_BELOW = 0.3  # of a row: single seeds stand under the interval, so that neither hides the other


def draw_rows(
    axes: "Axes",
    summaries: Sequence[Summary],
    *,
    name_of: Callable[[Summary], str],
    colour_of: Callable[[Summary], str],
    labels: dict[str, str] | None,
    bounded: bool,
    sign: bool = False,
) -> float:
    """Draw one row a summary, with a heading over each group; returns the height in inches.

    A row is the mean, its 95 % interval and, under it, the single seeds; on the right the mean as a number.
    """
    ticks: list[tuple[float, str, bool]] = []
    means: list[tuple[float, Summary]] = []
    place, height = 0.0, 0.0
    previous: dict[str, Any] | None = None
    for summary in summaries:
        if summary.group != previous and summary.group:
            place += 0.25 if previous is not None else 0.0
            heading = textwrap.fill(
                group_in_words(summary.group, labels), _HEADING_CHARACTERS, break_long_words=False
            )
            place += 0.5 * LINE / ROW * heading.count("\n")
            ticks.append((place, heading, True))
            place += 0.8 + 0.5 * LINE / ROW * heading.count("\n")
        previous = summary.group
        name = _broken(name_of(summary))
        place += 0.5 * LINE / ROW * name.count("\n")
        ticks.append((place, name, False))
        _draw_row(axes, place, summary, colour_of(summary))
        means.append((place, summary))
        place += 1.0 + 0.5 * LINE / ROW * name.count("\n")
    height = place * ROW
    _write_means(axes, means, bounded, sign)
    axes.set_yticks([y for y, _, _ in ticks], [text for _, text, _ in ticks])
    for tick, (_, _, is_heading) in zip(axes.get_yticklabels(), ticks, strict=True):
        tick.set_fontweight("bold" if is_heading else "normal")
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.set_ylim(place - 0.35, -0.55)
    return height


def _broken(name: str) -> str:
    """A long name on several lines; a pair breaks before its minus."""
    if len(name) <= _LABEL_CHARACTERS:
        return name
    first, minus, second = name.partition(" − ")
    parts = [first, f"− {second}"] if minus else [name]
    return "\n".join(textwrap.fill(part, _LABEL_CHARACTERS) for part in parts)


def _write_means(axes: "Axes", means: Sequence[tuple[float, Summary]], bounded: bool, sign: bool) -> None:
    """The means as numbers on the right, all with the same digits."""
    halves = [(s.high - s.low) / 2 for _, s in means if s.interval is not None]
    decimals = decimals_for(statistics.median(halves) if halves else 0.0, bounded)
    for y, summary in means:
        if summary.values:
            axes.text(
                1.02, y, number(summary.mean, decimals, sign), transform=axes.get_yaxis_transform(),
                va="center", fontsize=9, color=QUIET,
            )  # fmt: skip


def _draw_row(axes: "Axes", y: float, summary: Summary, colour: str) -> None:
    values = list(summary.values.values())
    if not values:
        axes.text(
            0.01, y, summary.note, transform=axes.get_yaxis_transform(), va="center", fontsize=9,
            style="italic", color=QUIET,
        )  # fmt: skip
        return
    if summary.interval is not None:
        axes.plot(
            [summary.low, summary.high], [y, y], color=colour, linewidth=2.6, solid_capstyle="butt", zorder=2
        )
        axes.plot(
            values, [y + _BELOW] * len(values), "o", color=colour, markersize=3.4, alpha=0.55,
            markeredgewidth=0, zorder=3, clip_on=False,
        )  # fmt: skip
    axes.plot(
        summary.mean, y, "o", color=colour, markersize=5.5, markeredgecolor="white", markeredgewidth=0.9,
        zorder=4, clip_on=False,
    )  # fmt: skip


def group_in_words(group: dict[str, Any], labels: dict[str, str] | None = None) -> str:
    """The levels of a group: its data set, then `n = 64`, `tested on: ucsd`."""
    parts = []
    for name, level in group.items():
        if name == PLACE:
            parts.append(words(level, labels))
        else:
            between = ": " if isinstance(level, str) else " = "
            parts.append(f"{words(name, labels)}{between}{words(level, labels)}")
    # A level keeps together where a heading is broken into lines, unless it fills more than one.
    return ", ".join(
        part.replace(" ", NO_BREAK) if len(part) <= _HEADING_CHARACTERS else part for part in parts
    )


def seeds_in_words(summaries: Sequence[Summary]) -> str:
    """How many seeds are behind: `5 seeds`, `5 to 10 seeds`, `one seed`."""
    counts = sorted({len(s.values) for s in summaries if s.values})
    if len(counts) > 1:
        return f"{counts[0]} to {counts[-1]} seeds"
    return counted(counts[0] if counts else 0, "seed")


def what_is_shown(summaries: Sequence[Summary]) -> str:
    """The second line of a metric's axis: what mark means what."""
    if all(s.interval is None for s in summaries):
        return "one seed: no interval"
    return f"95 % interval; small dots: {seeds_in_words(summaries)}"
