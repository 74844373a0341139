"""The layout of MedMNIST's own files, turned into the keys of an archive."""

from collections.abc import Mapping, Sequence

import numpy as np

from medtl_core.data.archives.checks import SPLIT_WORDS, described, refusal
from medtl_core.data.archives.medmnist_table import PublishedSet, published_sets
from medtl_core.errors import MedtlError
from medtl_core.memory import require_memory

LAYOUT_KEYS = tuple(f"{split}_{part}" for split in SPLIT_WORDS for part in ("images", "labels"))


def is_medmnist_layout(keys: Mapping[str, object]) -> bool:
    """Whether a file with these keys is in MedMNIST's layout instead of the archive's own."""
    return "images" not in keys and any(key in keys for key in LAYOUT_KEYS)


def from_medmnist(arrays: Mapping[str, np.ndarray], stem: str, source: str) -> dict[str, np.ndarray]:
    """The archive's keys from `train_images` (n, H, W[, 3]), `train_labels` (n, 1), … of MedMNIST.

    Class names come from the publisher's table if the file is one of its sets (`published_as`), else they
    are class_0, class_1, …

    Raises:
        MedtlError: a key missing or not of the layout, parts that do not fit together, several labels
            per image.
    """
    for key in (*LAYOUT_KEYS, *sorted(arrays)):
        if key not in arrays:
            raise refusal(source, key, "no such key", "all six of " + ", ".join(LAYOUT_KEYS))
        if key not in LAYOUT_KEYS:
            raise refusal(source, key, "an extra key", "only " + ", ".join(LAYOUT_KEYS))
    images = [arrays[f"{split}_images"] for split in SPLIT_WORDS]
    labels = [_flat_labels(arrays[f"{split}_labels"], f"{split}_labels", source) for split in SPLIT_WORDS]
    for split, part, column in zip(SPLIT_WORDS, images, labels, strict=True):
        if part.dtype != images[0].dtype or part.shape[1:] != images[0].shape[1:] or part.ndim < 3:
            expected = f"images like train_images, {described(images[0])}, of shape (n, H, W) or (n, H, W, 3)"
            raise refusal(source, f"{split}_images", described(part), expected)
        if len(part) != len(column):
            raise refusal(source, f"{split}_labels", f"{len(column)} labels", f"{len(part)}, one per image")
    published = published_as(stem, [part.shape for part in images], labels)
    return {
        "images": _joined(images, source),
        "labels": np.concatenate(labels),
        "class_names": np.array(
            numbered_class_names(labels, source) if published is None else published.class_names
        ),
        "splits": np.repeat(SPLIT_WORDS, [len(part) for part in images]),
    }


def _joined(images: Sequence[np.ndarray], source: str) -> np.ndarray:
    """The parts as one array, for which there must be memory beside them."""
    require_memory(sum(part.nbytes for part in images), source)
    try:
        return np.concatenate(images)
    except MemoryError as error:
        raise MedtlError(f"{source}: too large for this machine's memory; choose a smaller size") from error


def published_as(
    stem: str, shapes: Sequence[tuple[int, ...]], labels: Sequence[np.ndarray]
) -> PublishedSet | None:
    """The set that a file is by its name and content; None for a file of somebody's own.

    Number and shape of the images and the range of the labels must be those of the set whose name the file
    has. A checksum would be surer, but another compression of the same arrays would change it.

    Args:
        stem: the file's name without suffix, such as `breastmnist_64`.
        shapes: of the images of each part; labels: of each part.
    """
    row = published_sets().get(stem)
    if row is None:
        return None
    one = (row.size, row.size) if row.channels == 1 else (row.size, row.size, row.channels)
    fits = sum(shape[0] for shape in shapes) == row.n and all(shape[1:] == one for shape in shapes)
    return row if fits and _highest(labels) < len(row.class_names) else None


def numbered_class_names(labels: Sequence[np.ndarray], source: str) -> tuple[str, ...]:
    """class_0, class_1, … as far as `labels` go, two at least.

    Raises:
        MedtlError: numbers are left out, so that the labels are no numbers of classes (study numbers, say).
    """
    distinct = np.unique(np.concatenate([part.ravel() for part in labels]))
    if len(distinct) and (len(distinct) <= int(distinct[-1]) or int(distinct[0]) < 0):
        found = f"{len(distinct)} different values from {distinct[0]} to {distinct[-1]}"
        raise refusal(source, "train_labels", found, "classes 0, 1, ... without a gap; number them so")
    return tuple(f"class_{index}" for index in range(max(_highest(labels), 1) + 1))


def _highest(labels: Sequence[np.ndarray]) -> int:
    return max((int(part.max()) for part in labels if part.size), default=0)


def _flat_labels(labels: np.ndarray, key: str, source: str) -> np.ndarray:
    if labels.dtype.kind not in "iu":
        raise refusal(source, key, described(labels), "integers of shape (n, 1)")
    if labels.ndim == 2 and labels.shape[1] > 1:
        raise MedtlError(
            f"{source}: key '{key}': found {labels.shape[1]} labels per image, expected 1; "
            "multi-label sets are not supported"
        )
    if labels.shape not in ((len(labels), 1), (len(labels),)):
        raise refusal(source, key, described(labels), "shape (n, 1)")
    return labels.reshape(-1).astype(np.int64)
