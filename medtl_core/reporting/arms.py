"""The figure of a comparison: each arm's mean, its interval, and the single seeds."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from medtl_core.evaluation.metric_words import chance_of, metric_in_words, range_of
from medtl_core.reporting.drawing import Drawing, finished, panel
from medtl_core.reporting.rows import FRAME, WIDTH, draw_rows, what_is_shown
from medtl_core.reporting.style import QUIET, colours_of, words
from medtl_core.reporting.summaries import Records, Summary, arm_summaries, select

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Bounds = tuple[float | None, float | None]


def plot_arms(
    records: Records,
    metric: str,
    *,
    by: str | Sequence[str] = (),
    arms: Sequence[str] | None = None,
    average_over: str | Sequence[str] = (),
    labels: dict[str, str] | None = None,
    title: str = "",
    scale: Literal["linear", "log"] = "linear",
    bounds: Bounds | None = None,
    axes: "Axes | None" = None,
) -> Drawing:
    """A row for each arm: mean over seeds, 95 % t-interval, and the seeds as small dots under it.

    `records` is the table that `Study.run` returns, or records. Rows are grouped by the factors in `by`
    and, where there are several, by data set; `arms` chooses and orders them. `labels` gives arms, factors,
    levels and the metric their words. The axis keeps to the range that the metric can have (`bounds`
    overrules what `metric_words.range_of` knows). A dotted line marks chance where it is known. Errors as
    `summaries.select`.

    >>> plot_arms(records, "auroc", by="n", labels={"full": "full fine-tuning", "n": "training images"})
    """
    chosen = select(records, metric, by=by, average_over=average_over, arms=arms, labels=labels)
    summaries = arm_summaries(chosen, arms)
    colours = colours_of([s.arms[0] for s in summaries])
    low, high = range_of(metric) if bounds is None else bounds
    with panel(axes) as drawn:
        height = draw_rows(
            drawn,
            summaries,
            name_of=lambda s: words(s.arms[0], labels),
            colour_of=lambda s: colours[s.arms[0]],
            labels=labels,
            bounded=(low, high) == (0.0, 1.0),
        )
        set_scale(drawn, "x", scale)
        keep_within(drawn, "x", (low, high), summaries)
        settle = mark_chance(drawn, "x", chance_of(metric))
        name = metric_in_words(metric, labels)
        drawn.set_xlabel(f"{name}\n{what_is_shown(summaries)}")
        drawn.set_title(title, pad=14)
    text = f"{title + ': ' if title else ''}{name} of {_listed([words(arm, labels) for arm in colours])}"
    return finished(drawn, axes, text, "x", (WIDTH, height + FRAME), settle)


def keep_within(axes: "Axes", axis: Literal["x", "y"], bounds: Bounds, summaries: Sequence[Summary]) -> None:
    """Show all seeds and means, intervals as far as the metric can go, and nothing that it cannot reach."""
    points = [value for s in summaries for value in s.values.values()]
    ends = [end for s in summaries if s.interval for end in (s.low, s.high)]
    low, high = min([*points, *ends], default=0.0), max([*points, *ends], default=1.0)
    if getattr(axes, f"get_{axis}scale")() == "log":
        low = min([p for p in [*points, *ends] if p > 0], default=0.1)
        margin_low, margin_high = low / 1.15, high * 1.15
    else:
        space = 0.06 * (high - low or abs(high) or 1.0)
        margin_low, margin_high = low - space, high + space
    if bounds[0] is not None and getattr(axes, f"get_{axis}scale")() != "log":
        margin_low = max(margin_low, bounds[0])
    if bounds[1] is not None:
        margin_high = min(margin_high, bounds[1])
    getattr(axes, f"set_{axis}lim")(margin_low, margin_high)


def mark_chance(axes: "Axes", axis: Literal["x", "y"], chance: float | None) -> Callable[[], None]:
    """A dotted line where a guess stands; the function that is returned shows it if that is in sight."""
    if chance is None:
        return lambda: None
    upright = axis == "x"
    line = (axes.axvline if upright else axes.axhline)(
        chance, color=QUIET, linestyle=":", linewidth=1.2, zorder=1
    )
    text = axes.text(
        chance if upright else 0.0,
        1.0 if upright else chance,
        "chance" if upright else " chance",
        transform=axes.get_xaxis_transform() if upright else axes.get_yaxis_transform(),
        ha="center" if upright else "left",
        va="bottom",
        fontsize=8,
        color=QUIET,
    )

    def settle() -> None:
        low, high = getattr(axes, f"get_{axis}lim")()
        line.set_visible(low <= chance <= high)
        text.set_visible(low <= chance <= high)

    return settle


def set_scale(axes: "Axes", axis: Literal["x", "y"], scale: Literal["linear", "log"]) -> None:
    """A linear axis, or a logarithmic one whose marks are plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    getattr(axes, f"set_{axis}scale")(scale)
    ruler = getattr(axes, f"{axis}axis")
    if scale == "linear":
        ruler.set_major_locator(MaxNLocator(6))
    else:
        ruler.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=9))
        ruler.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
        ruler.set_minor_formatter(NullFormatter())


def _short(value: float) -> str:
    """A mark of a logarithmic axis: .05, 20, 50k, 2M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + names[-1]
