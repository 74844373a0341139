"""The contact sheet: examples of every class, as they are, in one picture."""

import io
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medtl_core.data.archives.archive import Archive
from medtl_core.files import write_atomically
from medtl_core.fonts import any_script

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_CLASSES = 24  # rows of a sheet; more would make a picture that no screen shows
_PANEL = 1.35  # inches a side
_LEFT = 1.75  # inches for the name of the class
_PLAIN: dict[str, Any] = {"parse_math": False}  # a name from a file is text, whatever dollar signs it has


class ContactSheet:
    """A drawn contact sheet that shows itself in a notebook, wherever it stands.

    Attributes:
        figure: the Matplotlib figure.
        left_out: how many classes are not shown, because there are more than `MOST_CLASSES`.
    """

    def __init__(self, figure: "Figure", left_out: int = 0) -> None:
        self.figure = figure
        self.left_out = left_out

    def __repr__(self) -> str:
        return f"ContactSheet(left_out={self.left_out})"

    def png(self, dpi: int = 100) -> bytes:
        """The picture as PNG, `dpi` pixels an inch."""
        stream = io.BytesIO()
        with any_script():
            self.figure.savefig(stream, format="png", dpi=dpi)
        return stream.getvalue()

    def save(self, path: str | Path, dpi: int = 150) -> None:
        """Write the picture as PNG, whole or not at all; MedtlError where it cannot be written."""
        write_atomically(Path(path), lambda stream: stream.write(self.png(dpi)))

    def _repr_png_(self) -> bytes:
        return self.png()


def contact_sheet(archive: Archive, per_class: int = 4, seed: int = 0) -> ContactSheet:
    """Examples of every class, `per_class` a row, spread over the domains, drawn by `seed`.

    Grey values are shown as they are, 0 black and 255 white; the domain stands above each image. Of many
    classes the first `MOST_CLASSES` are shown.
    """
    from matplotlib.figure import Figure

    rows = min(archive.n_classes, MOST_CLASSES)
    width, height = _LEFT + per_class * _PANEL + 0.2, rows * (_PANEL + 0.25) + 1.0
    figure = Figure(figsize=(width, height))
    axes = figure.subplots(
        rows,
        per_class,
        squeeze=False,
        gridspec_kw={
            "left": _LEFT / width,
            "right": 1 - 0.1 / width,
            "top": 1 - 0.75 / height,
            "bottom": 0.25 / height,
            "wspace": 0.08,
            "hspace": 0.3,
        },
    )
    for label, row in enumerate(axes):
        examples = _examples(archive, label, per_class, seed)
        for place, panel in enumerate(row):
            _draw_panel(panel, archive, examples[place] if place < len(examples) else None)
        name = "\n".join(textwrap.wrap(archive.class_names[label].replace("_", " "), 18))
        words = f"{name}\n{int((archive.labels == label).sum())} images"
        row[0].text(-0.1, 0.5, words, transform=row[0].transAxes, ha="right", va="center", **_PLAIN)
    left_out = archive.n_classes - rows
    shown = f"the first {rows} of {archive.n_classes} classes; " if left_out else ""
    values = "grey 0 (black) to 255 (white)" if archive.channels == 1 else "RGB, 0 to 255 per channel"
    title = f"{archive.name}, {archive.height} x {archive.width} px\n{shown}{values}"
    figure.suptitle(title, y=1 - 0.1 / height, va="top", fontsize=11, **_PLAIN)
    return ContactSheet(figure, left_out)


def _draw_panel(panel: "Axes", archive: Archive, case: int | None) -> None:
    panel.set_axis_off()
    if case is None:
        return
    panel.imshow(archive.images[case], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    if archive.domains is not None:
        panel.set_title(str(archive.domains[case]), fontsize=8, pad=3, **_PLAIN)


def _examples(archive: Archive, label: int, per_class: int, seed: int) -> np.ndarray:
    """Up to `per_class` cases of a class: each domain in turn, at random within it."""
    cases = np.random.default_rng([seed, label]).permutation(np.flatnonzero(archive.labels == label))
    if archive.domains is None:
        return cases[:per_class]
    turn = np.empty(len(cases), dtype=int)
    for domain in np.unique(archive.domains[cases]):
        here = np.flatnonzero(archive.domains[cases] == domain)
        turn[here] = np.arange(len(here))
    chosen = cases[np.argsort(turn, kind="stable")[:per_class]]
    return chosen[np.argsort(archive.domains[chosen], kind="stable")]
