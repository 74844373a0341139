"""The data card: what is in an archive, where it is from, what is wrong with it, and what it looks like."""

import math
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medtl_core.data.archives.archive import Archive
from medtl_core.data.archives.checks import SPLIT_WORDS
from medtl_core.data.audit import audit
from medtl_core.data.sources.dataset_card import DatasetCard
from medtl_core.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PANEL = 1.35  # inches a side
_LEFT = 1.75  # inches for the name of the class


def describe(archive: Archive, card: DatasetCard) -> dict[str, Any]:
    """The data card as plain values: text, numbers, lists and dictionaries that JSON can hold.

    Keys: name, title, location, origin, images, size (height, width in pixels), channels, grey_range
    (smallest and largest value found, of 0 to 255), classes (name: images), domains (name: {class: images}),
    groups (number, fewest and most images in one), masks (name: share of pixels), splits (word: images),
    metadata (keys), licence, citation, url, checksum, findings (sentences of the audit).
    """
    return {
        "name": card.name,
        "title": card.title,
        "location": card.location,
        "origin": archive.origin,
        "images": archive.n,
        "size": [archive.height, archive.width],
        "channels": archive.channels,
        "grey_range": [int(archive.images.min()), int(archive.images.max())],
        "classes": _class_counts(archive, np.ones(archive.n, dtype=bool)),
        "domains": _domains(archive),
        "groups": _groups(archive),
        "masks": _masks(archive),
        "splits": _splits(archive),
        "metadata": sorted(archive.metadata),
        "licence": card.licence,
        "citation": card.citation,
        "url": card.url,
        "checksum": archive.checksum,
        "findings": [finding.text for finding in audit(archive).findings],
    }


def text(description: dict[str, Any]) -> str:
    """The card of `describe` as lines of text for a terminal or a notebook."""
    height, width = description["size"]
    kind = "grey" if description["channels"] == 1 else "RGB"
    low, high = description["grey_range"]
    rows = [
        ("", f"{description['name']}: {description['title']}"),
        ("from", description["location"]),
        (
            "images",
            f"{description['images']} {kind}, {height} x {width} px, values {low} to {high} of 0 to 255",
        ),
        ("classes", _counts(description["classes"])),
        *((f"domain {name}", _counts(counts)) for name, counts in description["domains"].items()),
    ]
    if description["groups"]:
        groups = description["groups"]
        rows.append(("groups", f"{groups['number']}, of {groups['fewest']} to {groups['most']} images"))
    if description["splits"]:
        rows.append(("splits", _counts(description["splits"])))
    if description["masks"]:
        rows.append(
            ("masks", ", ".join(f"{name} {share:.1%}" for name, share in description["masks"].items()))
        )
    if description["metadata"]:
        rows.append(("metadata", ", ".join(description["metadata"])))
    rows += [("licence", description["licence"]), ("citation", description["citation"])]
    if description["url"]:
        rows.append(("address", description["url"]))
    rows.append(("checksum", f"SHA-256 {description['checksum']}"))
    rows += [("finding", sentence) for sentence in description["findings"] or ["none"]]
    return "\n".join(f"{label:<10} {value}".strip() for label, value in rows)


def contact_sheet(
    archive: Archive, path: str | Path | None = None, per_class: int = 4, seed: int = 0
) -> "Figure":
    """Examples of every class, `per_class` a row, spread over the domains; written as PNG if `path` is given.

    Raises:
        MedtlError: no right or no space to write the file.
    """
    from matplotlib.figure import Figure

    examples = [_examples(archive, label, per_class, seed) for label in range(archive.n_classes)]
    width, height = _LEFT + per_class * _PANEL + 0.2, archive.n_classes * (_PANEL + 0.25) + 1.0
    figure = Figure(figsize=(width, height))
    axes = figure.subplots(
        archive.n_classes,
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
        for place, panel in enumerate(row):
            case = examples[label][place] if place < len(examples[label]) else None
            _draw_panel(panel, archive, case)
        name = "\n".join(textwrap.wrap(archive.class_names[label].replace("_", " "), 18))
        count = int((archive.labels == label).sum())
        row[0].text(-0.1, 0.5, f"{name}\n{count} images", transform=row[0].transAxes, ha="right", va="center")
    values = "grey 0 (black) to 255 (white)" if archive.channels == 1 else "RGB, 0 to 255 per channel"
    title = f"{archive.name}, {archive.height} x {archive.width} px\n{values}"
    figure.suptitle(title, y=1 - 0.1 / height, va="top", fontsize=11)
    if path is not None:
        with replacing(Path(path)) as scratch:
            figure.savefig(scratch, format="png", dpi=150)
    return figure


def _draw_panel(panel: "Axes", archive: Archive, case: int | None) -> None:
    panel.set_axis_off()
    if case is None:
        return
    panel.imshow(archive.images[case], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    if archive.domains is not None:
        panel.set_title(str(archive.domains[case]), fontsize=8, pad=3)


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


def _class_counts(archive: Archive, chosen: np.ndarray) -> dict[str, int]:
    counts = np.bincount(archive.labels[chosen], minlength=archive.n_classes)
    return dict(zip(archive.class_names, counts.tolist(), strict=True))


def _domains(archive: Archive) -> dict[str, dict[str, int]]:
    if archive.domains is None:
        return {}
    return {
        name: _class_counts(archive, archive.domains == name) for name in np.unique(archive.domains).tolist()
    }


def _groups(archive: Archive) -> dict[str, int]:
    if archive.groups is None:
        return {}
    sizes = np.unique(archive.groups, return_counts=True)[1]
    return {"number": len(sizes), "fewest": int(sizes.min()), "most": int(sizes.max())}


def _masks(archive: Archive) -> dict[str, float]:
    if archive.masks is None:
        return {}
    shares = np.bincount(archive.masks.ravel(), minlength=len(archive.mask_names)) / math.prod(
        archive.masks.shape
    )
    return dict(zip(archive.mask_names, shares.tolist(), strict=True))


def _splits(archive: Archive) -> dict[str, int]:
    if archive.splits is None:
        return {}
    return {word: int((archive.splits == word).sum()) for word in SPLIT_WORDS}


def _counts(counts: dict[str, int]) -> str:
    return "; ".join(f"{name}: {count}" for name, count in counts.items())
