"""Forest plots: an estimate with its interval for each data set and stratum."""

import io
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from medtl_core.errors import MedtlError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

# Okabe and Ito's palette, and a marker of its own for each word: colour is never the only sign.
COLOURS = {
    "supported": "#0072B2",
    "partly supported": "#56B4E9",
    "mixed": "#CC79A7",
    "not supported": "#E69F00",
    "contradicted": "#D55E00",
    "inconclusive": "#666666",
}
MARKERS = {
    "supported": "o",
    "partly supported": "D",
    "mixed": "P",
    "not supported": "s",
    "contradicted": "X",
    "inconclusive": "v",
}
ROW_HEIGHT = 0.3
WIDTH = 7.2
TITLE_CHARACTERS = 80


def forest(rows: Sequence[Mapping[str, Any]]) -> "Figure":
    """Forest plot of rules: `rows` are those of `Ledger.rows()[i]["rules"]`, one panel each.

    Points are estimates, bars 95 % intervals, the band is the smallest effect of interest (or the margin of
    equivalence). Rules without an interval (not measured, or about single values) are not shown; MedtlError
    where none is left.
    """
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    drawn = [(rule, _lines(rule)) for rule in rows]
    drawn = [(rule, lines) for rule, lines in drawn if lines]
    if not drawn:
        raise MedtlError("forest plot: no rule has an estimate, expected at least one that was measured")
    heights = [len(lines) * ROW_HEIGHT + 1.0 for _, lines in drawn]
    figure = Figure(figsize=(WIDTH, sum(heights) + 0.35), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.1)  # type: ignore[union-attr, call-arg]
    panels = figure.subplots(len(drawn), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (rule, lines) in zip(panels, drawn, strict=True):
        _panel(axes, rule, lines)
    words = dict.fromkeys(line["verdict"] for _, lines in drawn for line in lines)
    handles = [_point(word) for word in words]
    figure.legend(
        handles, list(words), loc="outside upper center", ncols=len(words), frameon=False, fontsize=8
    )
    # A dollar sign in a name is a dollar sign, not mathematics.
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    return figure


def forest_svg(rows: Sequence[Mapping[str, Any]], description: str) -> str:
    """The forest plot as SVG to stand inside HTML: text stays text, nothing refers to an outside address.

    Equal rows give equal bytes; `description` is what a screen reader says.
    """
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": "medtl", "font.family": "sans-serif"}
    ):
        forest(rows).savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' xmlns(:xlink)?="[^"]*"', "", svg)
    # Group names repeat in every plot of a page; nothing refers to them.
    svg = re.sub(r' id="[A-Za-z][0-9A-Za-z.]*_\d+"', "", svg)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{_attribute(description)}" ', 1)


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def _lines(rule: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Everything with an interval over seeds; a rule without intervals is not shown in a forest plot."""
    lines: list[dict[str, Any]] = []
    if not rule["has_interval"]:
        return lines
    for name, dataset in rule["datasets"].items():
        for stratum in dataset["strata"]:
            if stratum["estimate"] is not None:
                label = f"{name}, {stratum['stratum']}" if stratum["stratum"] else name
                aside = "" if dataset["eligible"] else " (not evidence)"
                lines.append({**stratum, "label": f"{label}{aside}"})
    return lines


def _panel(axes: "Axes", rule: Mapping[str, Any], lines: list[dict[str, Any]]) -> None:
    positions = range(len(lines), 0, -1)
    if rule["band"] is not None:
        axes.axvspan(*rule["band"], color="#F0E442", alpha=0.35, lw=0, zorder=0)
    axes.axvline(0.0, color="black", lw=1, zorder=1)
    for y, line in zip(positions, lines, strict=True):
        axes.plot([line["low"], line["high"]], [y, y], color=COLOURS[line["verdict"]], lw=2, zorder=2)
        axes.add_line(_point(line["verdict"], [line["estimate"]], [y]))
    axes.set_yticks(list(positions), [line["label"] for line in lines], fontsize=8)
    axes.set_ylim(0.4, len(lines) + 0.6)
    axes.margins(x=0.08)
    title = textwrap.fill(f"{rule['reading']} reading: {rule['hypothesis']}", TITLE_CHARACTERS)
    axes.set_title(title, fontsize=8.5, loc="left")
    axes.set_xlabel(rule["effect"], fontsize=8)
    axes.tick_params(axis="x", labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    right = axes.secondary_yaxis("right")
    right.set_yticks(list(positions), [f"{x['seeds']} seeds" for x in lines], fontsize=8)
    right.tick_params(length=0)
    right.spines["right"].set_visible(False)


def _point(word: str, x: Sequence[float] = (), y: Sequence[float] = ()) -> "Line2D":
    from matplotlib.lines import Line2D

    return Line2D(x, y, color=COLOURS[word], marker=MARKERS[word], linestyle="none", markersize=6, zorder=3)
