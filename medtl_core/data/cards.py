"""The data card: what is in an archive, where it is from, what is wrong with it, and what it looks like.

    cards.card(archive, parts, registry.card(dataset))

as the last line of a notebook's cell shows the card; `print` writes it as text.
"""

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import Any

from medtl_core.data.archives.archive import Archive
from medtl_core.data.archives.volumes import VolumeArchive
from medtl_core.data.contact_sheet import ContactSheet, contact_sheet
from medtl_core.data.description import describe, describe_volumes
from medtl_core.data.sources.dataset_card import DatasetCard
from medtl_core.data.splits import Split

__all__ = ["Card", "ContactSheet", "card", "contact_sheet", "describe", "text"]

_CELL = "padding:2px 8px;text-align:left;vertical-align:top;white-space:normal;overflow-wrap:anywhere"
_NUMBER = "padding:2px 8px;text-align:right"


@dataclass(frozen=True)
class Card:
    """A data card that shows itself: as HTML in a notebook, as lines of text elsewhere.

    Attributes:
        description: the plain values of `describe`.
        sheet: the contact sheet inside the card, or None.
    """

    description: dict[str, Any]
    sheet: ContactSheet | None = None

    def __str__(self) -> str:
        return text(self.description)

    def _repr_html_(self) -> str:
        d = self.description
        facts = _table(_row(fact) for fact in _facts(d))
        findings = "".join(f"<li>{escape(sentence)}</li>" for sentence in d["findings"] or ["none"])
        picture = ""
        if self.sheet is not None:
            encoded = base64.b64encode(self.sheet.png()).decode()
            picture = f'<img alt="examples of every class" src="data:image/png;base64,{encoded}">'
        return (
            f"<div><h4>{escape(_heading(d))}</h4>{facts}"
            f"<h5>Images of each class</h5><div style='overflow-x:auto'>{_counts_table(d)}</div>"
            f"<h5>Findings of the audit</h5><ul>{findings}</ul>{picture}</div>"
        )


def card(
    archive: Archive, parts: Split | None, dataset_card: DatasetCard, *, per_class: int = 0, seed: int = 0
) -> Card:
    """The card of an archive, with the findings of its audit.

    Args:
        parts: the split that is used, whose counts and leaks are shown; None: the published one, if any.
        dataset_card: what the registry knows, `registry.card(dataset)`.
        per_class: example images of each class inside the card (`contact_sheet`), 0 for none.
        seed: decides which images.
    """
    sheet = contact_sheet(archive, per_class=per_class, seed=seed) if per_class else None
    return Card(describe(archive, dataset_card, parts), sheet)


def volume_card(archive: VolumeArchive, dataset_card: DatasetCard) -> Card:
    """The card of volumes, without a picture: the contact sheet shows their `sections`."""
    return Card(describe_volumes(archive, dataset_card))


def text(description: dict[str, Any]) -> str:
    """The card of `describe` as lines of text for a terminal."""
    d = description
    rows = [("", _heading(d)), *_facts(d)[:2], ("classes", _counts(d["classes"]) or "none")]
    rows += [(f"domain {name}", _counts(counts)) for name, counts in d["domains"].items()]
    rows += [(word, _counts(counts)) for word, counts in d["classes_by_split"].items()]
    clean = f"no copies, no conflicting labels, no leaks; look further with: medtl data audit {d['name']}"
    rows += [*_facts(d)[2:], *(("finding", sentence) for sentence in d["findings"] or [clean])]
    return "\n".join(f"{label:<10} {value}".strip() for label, value in rows)


def _heading(d: dict[str, Any]) -> str:
    return f"{d['name']}: {d['title']}"


def _facts(d: dict[str, Any]) -> list[tuple[str, str]]:
    """Label and value of everything but counts of classes and findings; from and images come first."""
    low, high = d["grey_range"]
    size = " x ".join(map(str, d["size"]))
    kind = "grey" if d["channels"] == 1 else "RGB"
    kind += ", " if len(d["size"]) == 2 else " volumes, "
    unit = "px" if len(d["size"]) == 2 else "voxels"
    drawn = ", synthetic (drawn by a program)" if d["origin"] == "synthetic" else ""
    facts = [
        ("from", d["location"] + drawn),
        ("images", f"{d['images']} {kind}{size} {unit}, values {low} to {high} of 0 to 255"),
    ]
    if d["groups"]:
        groups = d["groups"]
        unknown = f"; unknown for {groups['unknown']} images" if groups["unknown"] else ""
        fewest, most = groups["fewest"], groups["most"]
        sizes = f"{groups['number']}, of {most if fewest == most else f'{fewest} to {most}'} images"
        facts.append(("groups", sizes + unknown))
    if d["splits"]:
        facts.append(("splits", _counts(d["splits"])))
    if d["masks"]:
        facts.append(("masks", ", ".join(f"{name} {share:.1%}" for name, share in d["masks"].items())))
    if d["metadata"]:
        facts.append(("metadata", ", ".join(d["metadata"])))
    facts += [("made", sentence) for sentence in d["provenance"]]
    facts += [("licence", d["licence"]), ("citation", d["citation"])]
    if d["url"]:
        facts.append(("address", d["url"]))
    return [*facts, ("checksum", f"SHA-256 {d['checksum']}")]


def _counts_table(d: dict[str, Any]) -> str:
    """One row a class: all its images, those in each part of the split, those of each domain."""
    columns = {"all": d["classes"]} | d["classes_by_split"]
    columns |= {f"domain {name}": counts for name, counts in d["domains"].items()}
    head = _row(["class", *columns], tag="th")
    rows = [_row([name, *(counts[name] for counts in columns.values())]) for name in d["classes"]]
    totals = _row(["all classes", *(sum(counts.values()) for counts in columns.values())])
    return _table([head, *rows, totals])


def _table(rows: Iterable[str]) -> str:
    return f"<table>{''.join(rows)}</table>"


def _row(cells: Iterable[str | int], tag: str = "td") -> str:
    styled = (
        f'<{tag} style="{_NUMBER if isinstance(cell, int) else _CELL}">{escape(str(cell))}</{tag}>'
        for cell in cells
    )
    return f"<tr>{''.join(styled)}</tr>"


def _counts(counts: dict[str, int]) -> str:
    return "; ".join(f"{name}: {count}" for name, count in counts.items())
