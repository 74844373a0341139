"""The figure of paired differences: what one arm gains over another within the same seed."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from medtl_core.errors import MedtlError
from medtl_core.evaluation.metric_words import metric_in_words, range_of
from medtl_core.evaluation.rounding import number
from medtl_core.evidence.register import Register
from medtl_core.evidence.rule import Rule
from medtl_core.reporting.arms import keep_within
from medtl_core.reporting.drawing import Drawing, finished, panel
from medtl_core.reporting.paired import pair_in_words
from medtl_core.reporting.rows import FRAME, WIDTH, draw_rows, what_is_shown
from medtl_core.reporting.smallest_effect import size_in, smallest_effect
from medtl_core.reporting.style import BAND, QUIET, TEXT, colours_of
from medtl_core.reporting.summaries import Records, pair_summaries, select

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_differences(
    records: Records,
    pairs: Sequence[tuple[str, str]],
    metric: str,
    *,
    claim: str | None = None,
    reading: str | None = None,
    rule: Rule | None = None,
    by: str | Sequence[str] = (),
    average_over: str | Sequence[str] = (),
    labels: dict[str, str] | None = None,
    title: str = "",
    register: Register | None = None,
    axes: "Axes | None" = None,
) -> Drawing:
    """A row for each pair (treatment, control): treatment - control within each seed, with its 95 % interval.

    The grey band is the smallest effect of interest that the register states for `claim` (in one `reading`,
    if they differ; or for `rule`): a difference inside it would not matter even if it were sure. Without
    either there is no band. Rows take the colour of the treatment. Pairs that were not measured keep their
    row and say so. Groups, labels and errors as `arms.plot_arms`; MedtlError, too, where the register
    states no such size (`smallest_effect`).

    >>> plot_differences(records, [("full", "scratch")], "auroc", claim="C006", by="n")
    """
    arms = [arm for pair in pairs for arm in pair]
    chosen = select(records, metric, by=by, average_over=average_over, arms=arms, labels=labels)
    summaries = pair_summaries(chosen, pairs)
    size = _size(claim, reading, rule, metric, pairs, register)
    colours = colours_of([treatment for treatment, _ in pairs])
    with panel(axes) as drawn:
        height = draw_rows(
            drawn,
            summaries,
            name_of=lambda s: pair_in_words(s, labels),
            colour_of=lambda s: colours[s.arms[0]],
            labels=labels,
            bounded=range_of(metric) == (0.0, 1.0),
            sign=True,
        )
        keep_within(drawn, "x", (None, None), summaries)
        _show_zero(drawn, size)
        better = {
            "higher": "\nright of 0: the first one is better",
            "lower": "\nleft of 0: the first one is better",
        }
        name = metric_in_words(metric, labels)
        band = f"\ngrey: too small to matter (±{number(size, _digits(size))})" if size else ""
        side = better.get(chosen.direction, "")
        drawn.set_xlabel(f"difference in {name} within a seed{side}{band}\n{what_is_shown(summaries)}")
        drawn.set_title(title, pad=14)
    names = ", ".join(dict.fromkeys(pair_in_words(s, labels) for s in summaries))
    text = f"{title + ': ' if title else ''}paired differences in {name}: {names}"
    return finished(drawn, axes, text, "x", (WIDTH, height + FRAME + 0.35))


def _size(
    claim: str | None,
    reading: str | None,
    rule: Rule | None,
    metric: str,
    pairs: Sequence[tuple[str, str]],
    register: Register | None,
) -> float:
    if rule is not None:
        size = size_in(rule, metric)
        if size is None:
            raise MedtlError(
                f"rule on {rule.metric}: it states no smallest difference in {metric}; leave rule= out"
            )
        return size
    if claim is None:
        return 0.0
    return smallest_effect(claim, metric, pairs, reading=reading, register=register)


def _show_zero(axes: "Axes", size: float) -> None:
    """Zero and the band are always in sight: what a difference is read against."""
    low, high = axes.get_xlim()
    space = 0.06 * (high - low)
    axes.set_xlim(min(low, -size - space), max(high, size + space))
    if size:
        axes.axvspan(-size, size, color=BAND, linewidth=0, zorder=0.5)
        for edge in (-size, size):
            axes.axvline(edge, color=QUIET, linewidth=0.6, linestyle=(0, (2, 2)), zorder=0.6)
    axes.axvline(0.0, color=TEXT, linewidth=1.1, zorder=1)


def _digits(size: float) -> int:
    return max(2, len(f"{size:.6f}".rstrip("0").partition(".")[2]))
