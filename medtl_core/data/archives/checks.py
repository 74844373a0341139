"""The rules that the arrays of an archive keep, checked one key after the other."""

from collections.abc import Mapping

import numpy as np

from medtl_core.errors import MedtlError

SPLIT_WORDS = ("train", "val", "test")
REQUIRED_KEYS = ("images", "labels", "class_names")
RESERVED_KEYS = (*REQUIRED_KEYS, "groups", "domains", "masks", "mask_names", "splits")


def check_arrays(arrays: Mapping[str, np.ndarray], source: str) -> None:
    """Check the arrays of one archive, as they stand in its file.

    Args:
        arrays: key to array; `images` uint8 (N, H, W) or (N, H, W, 3), `labels` integer (N,) in
            0..K-1, `class_names` text (K,), and the optional keys of an archive.
        source: what the message calls the archive, usually the path of its file.

    Raises:
        MedtlError: at the first broken rule; one line with source, key, what was found and expected.
    """
    for key in REQUIRED_KEYS:
        if key not in arrays:
            raise refusal(
                source, key, f"no such key among {', '.join(sorted(arrays)) or 'none'}", "it is required"
            )
    n = _check_images(arrays["images"], source)
    n_classes = _check_names(arrays["class_names"], "class_names", 2, source)
    _check_labels(arrays["labels"], n, n_classes, source)
    for key in ("groups", "domains", "splits"):
        if key in arrays:
            _check_text_column(arrays[key], key, n, source)
    if "splits" in arrays:
        _check_split_words(arrays["splits"], source)
    _check_masks(arrays, source)
    for key in sorted(set(arrays) - set(RESERVED_KEYS)):
        _check_metadata(arrays[key], key, n, source)


def refusal(source: str, key: str, found: str, expected: str) -> MedtlError:
    """The one-line error about one key of one archive."""
    return MedtlError(f"{source}: key '{key}': found {found}, expected {expected}")


def described(array: np.ndarray) -> str:
    """Type and shape in words, such as `float32 (10, 28, 28)`."""
    return f"{array.dtype} {array.shape}"


def _check_images(images: np.ndarray, source: str) -> int:
    if images.dtype.kind == "f" and np.isnan(images).any():
        found = f"{described(images)} with {int(np.isnan(images).sum())} NaN"
        raise refusal(source, "images", found, "uint8 grey values 0 to 255, none missing")
    if images.dtype != np.uint8:
        raise refusal(source, "images", described(images), "uint8 grey values 0 to 255")
    if not (images.ndim == 3 or (images.ndim == 4 and images.shape[3] == 3)):
        raise refusal(source, "images", described(images), "shape (N, H, W) or (N, H, W, 3)")
    if images.size == 0:
        raise refusal(source, "images", described(images), "at least one image of at least one pixel")
    return images.shape[0]


def _check_names(names: np.ndarray, key: str, at_least: int, source: str) -> int:
    if names.dtype.kind != "U" or names.ndim != 1:
        raise refusal(source, key, described(names), "text of shape (K,)")
    if len(names) < at_least:
        raise refusal(source, key, f"{len(names)} names", f"at least {at_least}")
    _check_printable(names, key, source)
    listed = names.tolist()
    if len(set(listed)) != len(listed) or not all(name.strip() for name in listed):
        raise refusal(source, key, f"{listed}", "names that differ and are not empty")
    return len(listed)


def _check_labels(labels: np.ndarray, n: int, n_classes: int, source: str) -> None:
    if labels.dtype.kind not in "iu" or labels.shape != (n,):
        raise refusal(source, "labels", described(labels), f"integers of shape ({n},), one per image")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= n_classes:
        expected = f"0 to {n_classes - 1}, as class_names has {n_classes} names"
        raise refusal(source, "labels", f"values from {low} to {high}", expected)


def _check_text_column(column: np.ndarray, key: str, n: int, source: str) -> None:
    if column.dtype.kind != "U" or column.shape != (n,):
        raise refusal(source, key, described(column), f"text of shape ({n},), one per image")
    _check_printable(np.unique(column), key, source)


def _check_printable(texts: np.ndarray, key: str, source: str) -> None:
    # They end up in one-line messages, tables and titles of figures.
    for entry in texts.tolist():
        if not entry.isprintable():
            raise refusal(source, key, repr(entry), "text without line breaks or control characters")


def _check_split_words(splits: np.ndarray, source: str) -> None:
    strange = sorted(set(np.unique(splits).tolist()) - set(SPLIT_WORDS))
    if strange:
        raise refusal(source, "splits", f"the word '{strange[0]}'", "one of train, val, test")


def _check_masks(arrays: Mapping[str, np.ndarray], source: str) -> None:
    if ("masks" in arrays) != ("mask_names" in arrays):
        key = "mask_names" if "masks" in arrays else "masks"
        raise refusal(source, key, "no such key", "masks and mask_names together or neither")
    if "masks" not in arrays:
        return
    masks, shape = arrays["masks"], arrays["images"].shape[:3]
    if masks.dtype != np.uint8 or masks.shape != shape:
        raise refusal(source, "masks", described(masks), f"uint8 {shape}, one value per pixel")
    n_names = _check_names(arrays["mask_names"], "mask_names", 1, source)
    if int(masks.max()) >= n_names:
        expected = f"0 to {n_names - 1}, as mask_names has {n_names} names"
        raise refusal(source, "masks", f"the value {int(masks.max())}", expected)


def _check_metadata(column: np.ndarray, key: str, n: int, source: str) -> None:
    if column.dtype.hasobject:
        raise refusal(source, key, f"Python objects {column.shape}", "numbers or text")
    if column.ndim == 0 or column.shape[0] != n:
        raise refusal(source, key, described(column), f"length {n}, one entry per image")
