"""What is in an archive, where it is from and what is wrong with it, as plain values."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medtl_core.data.archives.archive import Archive
from medtl_core.data.archives.checks import SPLIT_WORDS
from medtl_core.data.archives.volumes import VolumeArchive
from medtl_core.data.audit import audit, split_words
from medtl_core.data.groups import group_ids, is_unknown
from medtl_core.data.sources.dataset_card import DatasetCard
from medtl_core.data.splits import Split


def describe(archive: Archive, card: DatasetCard, parts: Split | None = None) -> dict[str, Any]:
    """The data card as plain values: text, numbers, lists and dictionaries that JSON can hold.

    Keys: name, title, location (where its file was found), origin (patients or synthetic), images, size
    (height, width in pixels), channels, grey_range (smallest and largest value found, of 0 to 255), classes
    (name: images), domains (name: {class: images}), groups (number of known ones, fewest and most images in
    one, images of unknown ones), masks (name: share of pixels), splits (word: images), classes_by_split
    (word: {class: images}), metadata (keys), provenance (sentences), licence, citation, url, checksum,
    findings (sentences of the audit).

    Args:
        parts: the split to count and to audit; None: the published one, if there is one.
    """
    words = archive.splits if parts is None else split_words(archive.n, parts)
    by_split = _counts_by(archive, words, SPLIT_WORDS)
    by_domain = _counts_by(archive, archive.domains)
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
        "domains": by_domain,
        "groups": _groups(archive),
        "masks": _masks(archive),
        "splits": {word: sum(counts.values()) for word, counts in by_split.items()},
        "classes_by_split": by_split,
        "metadata": sorted(archive.metadata),
        "provenance": list(archive.provenance),
        "licence": card.licence,
        "citation": card.citation,
        "url": card.url,
        "checksum": archive.checksum,
        "findings": [finding.text for finding in audit(archive, parts).findings],
    }


def describe_volumes(archive: VolumeArchive, card: DatasetCard) -> dict[str, Any]:
    """The data card of volumes, with the keys of `describe`; size is depth, height, width in voxels.

    Without labels there are no classes, and nothing is counted by class, domain or part.
    """
    described = describe(archive.pictures(), card)
    described["size"] = list(archive.shape)
    if archive.labels is None:
        described |= {"classes": {}, "classes_by_split": {}, "domains": {}}
    return described


def _class_counts(archive: Archive, chosen: NDArray[np.bool_]) -> dict[str, int]:
    counts = np.bincount(archive.labels[chosen], minlength=archive.n_classes)
    return dict(zip(archive.class_names, counts.tolist(), strict=True))


def _counts_by(
    archive: Archive, column: NDArray[np.str_] | None, values: tuple[str, ...] | None = None
) -> dict[str, dict[str, int]]:
    """Images of each class for each of `values` (None: all that there are) of a column."""
    if column is None:
        return {}
    return {value: _class_counts(archive, column == value) for value in values or np.unique(column).tolist()}


def _groups(archive: Archive) -> dict[str, int]:
    if archive.groups is None:
        return {}
    known = ~is_unknown(archive.groups)
    sizes = np.bincount(group_ids(archive.groups[known])) if known.any() else np.zeros(1, int)
    return {
        "number": int((sizes > 0).sum()),
        "fewest": int(sizes.min()),
        "most": int(sizes.max()),
        "unknown": int((~known).sum()),
    }


def _masks(archive: Archive) -> dict[str, float]:
    if archive.masks is None:
        return {}
    shares = np.bincount(archive.masks.ravel(), minlength=len(archive.mask_names)) / math.prod(
        archive.masks.shape
    )
    return dict(zip(archive.mask_names, shares.tolist(), strict=True))
