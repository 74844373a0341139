"""`this run` beside `reference`: what the reader's machine has measured, and what a longer run had found."""

import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from medtl_core.evaluation.rounding import counted
from medtl_core.evidence.record import to_frame
from medtl_core.evidence.reference_run import read_kept
from medtl_core.reporting.curves import plot_curves
from medtl_core.reporting.differences import plot_differences
from medtl_core.reporting.drawing import Drawing, panels
from medtl_core.reporting.markdown_text import Prose
from medtl_core.reporting.places import places_in_words, settings_apart
from medtl_core.reporting.rows import WIDTH
from medtl_core.reporting.style import QUIET
from medtl_core.reporting.summaries import Records
from medtl_core.settings import project_root

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FOLDERS = ("reference", "headline-cpu", "teach-cpu")
"""Folders of `results/` that are asked for a study, in this order: the reference run, then most seeds
first."""

NOTHING_KEPT = "No reference run holds this study yet."


def reference_folder(notebook: str | None = None, study: str | None = None) -> Path | None:
    """The first of `FOLDERS` in the project's `results/` that holds the study; None if none does."""
    for name in FOLDERS:
        folder = project_root() / "results" / name
        place = folder / "records" / (notebook or "")
        if (place / f"{study}.jsonl").is_file() if study else place.is_dir():
            return folder
    return None


def reference_records(
    notebook: str,
    study: str,
    *,
    reference: str | Path | None = None,
    datasets: Sequence[str] | None = None,
) -> pd.DataFrame | None:
    """The kept records of a study as a table, None where no run that was kept holds it.

    `reference` is a folder (relative: from the project's), by default `reference_folder`. `datasets`
    chooses and orders the data sets. MedtlError for a folder that holds no kept run, and for damaged
    records.
    """
    folder = reference_folder(notebook, study) if reference is None else project_root() / reference
    if folder is None:
        return None
    frame = to_frame(read_kept(folder).all(notebook, study))
    if datasets is not None:
        parts = [frame[frame["dataset"] == name] for name in datasets]
        frame = pd.concat(parts, ignore_index=True) if parts else frame.iloc[:0]
    return None if frame.empty else frame


def side_by_side(
    plot: Callable[..., Drawing],
    this_run: Records | None,
    *args: Any,
    notebook: str,
    study: str,
    reference: str | Path | None = None,
    datasets: Sequence[str] | None = None,
    where: Callable[[pd.DataFrame], pd.Series] | None = None,
    **options: Any,
) -> Drawing | Prose:
    """One figure: on the left what this run has measured, on the right the reference run.

    Levels stand on the same scale. Differences do not, as a large one on phantoms would hide a small one on
    patients' images; there the band of the smallest effect of interest shows how the two scales compare.
    And where the reference has many more differences than this run, it stands below it.
    `plot` is `plot_arms`, `plot_differences` or `plot_curves`; it gets `args` and `options` in both panels.
    `this_run` is None where nothing was trained: the reference then stands alone. `where` chooses rows in
    both (a function from the table to booleans). `plot_curves` gives every data set of the reference a
    panel of its own. Where no kept run holds the study, its panel says so,
    and a sentence where nothing was trained here either. Errors as `reference_records`
    and `plot`.

    >>> side_by_side(plot_arms, records, "auroc", by="n", notebook="02_fine_tuning", study="learning_curve")
    """
    kept = _chosen(reference_records(notebook, study, reference=reference, datasets=datasets), where)
    mine = this_run if isinstance(this_run, pd.DataFrame) or this_run is None else to_frame(this_run)
    mine = _chosen(mine, where)
    if mine is None and kept is None:
        return Prose(NOTHING_KEPT)
    if mine is not None and kept is not None:
        kept = _in_order_of(mine, kept, ["arm", *_factors(options.get("by"))])
    draw = [] if mine is None else [_panel(plot, mine, args, options, "this run")]
    apart = _apart(kept, plot is plot_curves, options.get("labels"))
    draw += [_panel(plot, part, args, options, "reference", settings) for settings, part in apart]
    levels = plot is not plot_differences
    return panels(draw, same_range=levels, stack_uneven=not levels)


def heading(name: str, records: pd.DataFrame, labels: dict[str, str] | None = None) -> str:
    """`this run: phantoms basic, 3 seeds`: whose records, of which data sets, and how many seeds."""
    parts = [*places_in_words(records, labels), counted(records["seed"].nunique(), "seed")]
    return f"{name}: {', '.join(parts)}"


def _factors(by: str | Sequence[str] | None) -> Sequence[str]:
    return [by] if isinstance(by, str) else by or []


def _in_order_of(first: pd.DataFrame, frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """The rows with their levels in the order of `first`, others after them; the last of `columns` leads."""
    for name in columns:
        ranks = {level: rank for rank, level in enumerate(dict.fromkeys(first[name]))}
        places = frame[name].map(ranks).fillna(len(ranks))
        frame = frame.loc[places.sort_values(kind="stable").index]
    return frame


def _panel(
    plot: Callable[..., Drawing],
    frame: pd.DataFrame | None,
    args: Sequence[Any],
    options: dict[str, Any],
    name: str,
    settings: str = "",
) -> Callable[["Axes"], Drawing]:
    if frame is None:
        return _nothing_kept
    title = textwrap.fill(heading(name, frame, options.get("labels")) + settings, 36)
    return lambda axes: plot(frame, *args, title=title, axes=axes, **options)


def _nothing_kept(axes: "Axes") -> Drawing:
    axes.set_axis_off()
    axes.set_title("reference")
    axes.text(
        0.03,
        0.85,
        textwrap.fill(NOTHING_KEPT, 40),
        transform=axes.transAxes,
        va="top",
        color=QUIET,
        style="italic",
    )
    figure = axes.get_figure(root=True)
    assert figure is not None
    return Drawing(figure, NOTHING_KEPT, "", (WIDTH, 1.6))


def _chosen(
    frame: pd.DataFrame | None, where: Callable[[pd.DataFrame], pd.Series] | None
) -> pd.DataFrame | None:
    if frame is None or where is None:
        return frame
    chosen = frame[where(frame)]
    return None if chosen.empty else chosen


def _apart(
    frame: pd.DataFrame | None, apart: bool, labels: dict[str, str] | None
) -> list[tuple[str, pd.DataFrame | None]]:
    """Parts of the reference with a panel each, and the settings that tell those of one data set apart."""
    if frame is None or not apart:
        return [("", frame)]
    found: list[tuple[str, pd.DataFrame | None]] = []
    for _, of_set in frame.groupby(["dataset", "source_domain", "target_domain"], sort=False):
        settings = settings_apart(list(of_set["configuration"]), labels)
        found += [(settings[str(key)], part) for key, part in of_set.groupby("configuration", sort=False)]
    return found
