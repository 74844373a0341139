"""The rules that the arrays of an archive keep, checked one key after the other."""

import unicodedata
from collections.abc import Iterable, Mapping

import numpy as np

from medtl_core.data.archives.keys import REQUIRED_KEYS, RESERVED_KEYS, meant_key
from medtl_core.errors import MedtlError

SPLIT_WORDS = ("train", "val", "test")
_VOLUMES = "save volumes under the key 'volumes', or their slices as images with the volume in 'groups'"
ORIGINS = ("patients", "synthetic")


def check_arrays(arrays: Mapping[str, np.ndarray], source: str) -> None:
    """Check the arrays of one archive, as they stand in its file.

    Args:
        arrays: key to array; `images` uint8 (N, H, W) or (N, H, W, 3), `labels` integer (N,) in
            0..K-1, `class_names` text (K,), and the optional keys of an archive.
        source: what the message calls the archive, usually the path of its file.

    Raises:
        MedtlError: at the first broken rule; one line with source, key, what was found and expected.
    """
    for key in sorted(arrays):
        meant = meant_key(key)
        if meant is not None:
            raise MedtlError(
                f"{source}: key '{key}': found nearly a key of the archive's own, did you mean {meant}? "
                "rename it, or give metadata another name"
            )
    for key in REQUIRED_KEYS:
        if key not in arrays:
            raise missing_key(arrays, key, source)
    if "volumes" in arrays:
        raise refusal(source, "volumes", "volumes beside images", f"one of them; {_VOLUMES}")
    n = _check_images(arrays["images"], source)
    n_classes = _check_names(arrays["class_names"], "class_names", 2, source)
    _check_labels(arrays["labels"], n, n_classes, source)
    for key in ("groups", "domains", "splits"):
        if key in arrays:
            _check_text_column(arrays[key], key, n, source)
    if "splits" in arrays:
        _check_split_words(arrays["splits"], source)
    if "domains" in arrays:
        _check_domains(arrays["domains"], source)
    if "origin" in arrays:
        _check_origin(arrays["origin"], source)
    if "provenance" in arrays:
        _check_provenance(arrays["provenance"], source)
    _check_masks(arrays, source)
    for key in sorted(set(arrays) - set(RESERVED_KEYS)):
        _check_metadata(arrays[key], key, n, source)


def refusal(source: str, key: str, found: str, expected: str) -> MedtlError:
    """The one-line error about one key of one archive."""
    return MedtlError(f"{source}: key '{key}': found {found}, expected {expected}")


def described(array: np.ndarray) -> str:
    """Type and shape in words, such as `float32 (10, 28, 28)`."""
    return f"{array.dtype} {array.shape}"


def check_image_shape(shape: tuple[int, ...], found: str, source: str) -> None:
    """MedtlError unless a shape is (N, H, W) or (N, H, W, 3); `found` is what the message says was found."""
    if len(shape) == 3 or (len(shape) == 4 and shape[3] == 3):
        return
    if len(shape) == 4 and shape[3] in (1, 4):
        remedy = "drop the last axis" if shape[3] == 1 else "drop the alpha channel"
    elif len(shape) == 4 and shape[1] == 3:
        remedy = "move the channels to the end"
    elif len(shape) >= 4:
        remedy = _VOLUMES
    else:
        remedy = "give each image its height and width"
    raise refusal(source, "images", found, f"shape (N, H, W) or (N, H, W, 3); {remedy}")


def missing_key(keys: Iterable[str], key: str, source: str) -> MedtlError:
    """The error about an archive that has `keys`, and not a key that it needs."""
    if key == "images" and "volumes" in keys:
        expected = "images; volumes are for segmentation, save their slices for anything else"
        return refusal(source, "volumes", "volumes", expected)
    found = f"no such key among {', '.join(sorted(keys)) or 'none'}"
    return refusal(source, key, found, f"all of {', '.join(REQUIRED_KEYS)}")


def _check_images(images: np.ndarray, source: str) -> int:
    if images.dtype.kind == "f" and np.isnan(images).any():
        found = f"{described(images)} with {int(np.isnan(images).sum())} NaN"
        raise refusal(source, "images", found, "uint8 grey values 0 to 255, none missing")
    if images.dtype != np.uint8:
        scale = "multiply by 255 and round" if images.dtype.kind == "f" else "choose a window and scale it"
        raise refusal(source, "images", described(images), f"uint8 grey values 0 to 255; {scale}")
    check_image_shape(images.shape, described(images), source)
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
    # Two names that look the same on a screen are one name.
    seen = {unicodedata.normalize("NFC", name).strip() for name in listed}
    if len(seen) != len(listed) or "" in seen:
        raise refusal(
            source,
            key,
            f"{listed}",
            "names that differ by more than spaces at their ends, none of them empty",
        )
    return len(listed)


def _check_labels(labels: np.ndarray, n: int, n_classes: int, source: str) -> None:
    if labels.dtype.kind not in "iu" or labels.shape != (n,):
        remedy = "number the classes 0, 1, ... in the order of class_names, one per image"
        raise refusal(source, "labels", described(labels), f"integers of shape ({n},); {remedy}")
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


def _check_domains(domains: np.ndarray, source: str) -> None:
    nameless = int((np.char.strip(domains) == "").sum())
    if nameless:
        raise refusal(
            source,
            "domains",
            f"{nameless} images without a name",
            "a site, scanner or source; call it 'unknown'",
        )


def _check_origin(origin: np.ndarray, source: str) -> None:
    if origin.ndim != 0 or origin.dtype.kind != "U" or str(origin) not in ORIGINS:
        found = repr(str(origin)) if origin.ndim == 0 else described(origin)
        raise refusal(source, "origin", found, f"one word, {' or '.join(ORIGINS)}")


def _check_provenance(lines: np.ndarray, source: str) -> None:
    if lines.dtype.kind != "U" or lines.ndim != 1:
        raise refusal(source, "provenance", described(lines), "text of shape (L,), one sentence per line")
    _check_printable(lines, "provenance", source)


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
