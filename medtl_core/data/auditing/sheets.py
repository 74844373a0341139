"""The contact sheet of an audit: the images that its findings name, side by side."""

from collections.abc import Iterable

import numpy as np

from medtl_core.data.archives.archive import Archive
from medtl_core.data.contact_sheet import ContactSheet
from medtl_core.data.findings import Finding

_PANEL = 1.35  # inches a side
_LEFT = 2.6  # inches for the words
MOST = 6  # images of a finding


def finding_sheet(archive: Archive, findings: Iterable[Finding]) -> ContactSheet | None:
    """One row a finding with up to `MOST` of the images that it names; None if none names an image.

    Pairs stand beside each other. Above an image is its index in the archive and its class. Grey values are
    shown as they are, 0 black and 255 white.
    """
    from matplotlib.figure import Figure

    rows = [(finding, cases) for finding in findings if (cases := _cases(finding))]
    if not rows:
        return None
    width, height = _LEFT + MOST * _PANEL + 0.2, len(rows) * (_PANEL + 0.35) + 0.8
    figure = Figure(figsize=(width, height))
    axes = figure.subplots(
        len(rows),
        MOST,
        squeeze=False,
        gridspec_kw={
            "left": _LEFT / width,
            "right": 1 - 0.1 / width,
            "top": 1 - 0.65 / height,
            "bottom": 0.02,
        },
    )
    for (finding, cases), row in zip(rows, axes, strict=True):
        words = f"{finding.kind.replace('_', ' ')}\n{finding.count}"
        row[0].text(-0.1, 0.5, words, transform=row[0].transAxes, ha="right", va="center", parse_math=False)
        for place, panel in enumerate(row):
            panel.set_axis_off()
            if place < len(cases):
                case = cases[place]
                panel.imshow(archive.images[case], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
                name = archive.class_names[archive.labels[case]]
                panel.set_title(f"{case} {name}", fontsize=7, pad=2, parse_math=False)
    figure.suptitle(f"{archive.name}: images that the audit names", fontsize=11, parse_math=False)
    return ContactSheet(figure)


def _cases(finding: Finding) -> list[int]:
    """The images that a finding names, examples one after the other; names of groups are none."""
    named = [case for example in finding.examples if isinstance(example, tuple) for case in example]
    return [int(case) for case in named if isinstance(case, int | np.integer)][:MOST]
