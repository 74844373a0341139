"""What can be wrong with the pictures: little of the grey range used, borders of one value, text burnt in."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from scipy.stats import chi2_contingency

from medtl_core.data.archives.archive import Archive
from medtl_core.data.duplicates import is_constant
from medtl_core.data.findings import EXAMPLES, Finding

NARROWEST = 32  # grey values between the 1st and 99th percentile of an image
BORDER = 0.05  # of a side
_BRIGHT, _STEP = 200, 80  # of strokes, and above what an opening of 5 x 5 pixels leaves
_LETTERS = 4  # in one line
_TALLEST = 1 / 6  # a letter, of the height of the image


def picture_findings(archive: Archive) -> list[Finding | None]:
    """All findings about single pictures, each None where all is well."""
    bordered = has_border(archive.images)
    return [
        _narrow(archive),
        _counted("uniform_borders", bordered, "have a border of one value"),
        _borders_by_class(archive, bordered),
        _counted("burnt_in_text", holds_text(archive.images), "may hold a line of text; look at them"),
    ]


def grey_widths(images: np.ndarray) -> NDArray[np.float64]:
    """(N,) grey values between the 1st and the 99th percentile of each image."""
    low, high = np.percentile(images.reshape(len(images), -1), [1, 99], axis=1)
    return np.asarray(high - low)


def has_border(images: np.ndarray) -> NDArray[np.bool_]:
    """(N,) whether outer rows or columns, a twentieth of the side and at least two, have one value.

    Such borders come from padding to a square, from the screen of a scanner and from cut-out figures.
    """
    height, width = images.shape[1:3]
    rows, columns = max(2, round(BORDER * height)), max(2, round(BORDER * width))
    strips = (images[:, :rows], images[:, -rows:], images[:, :, :columns], images[:, :, -columns:])
    found = np.zeros(len(images), bool)
    for strip in strips:
        found |= is_constant(strip)
    return found & ~is_constant(images)


def holds_text(images: np.ndarray) -> NDArray[np.bool_]:
    """(N,) whether at least four bright shapes of about one height stand close together in one line.

    A rough look, made for letters of 5 pixels and more: it finds white text on darker ground, and now and
    then a row of bright spots that is none. Text that was made smaller than that with the image is missed.
    """
    return np.array([_has_line(image) for image in images], bool)


def _narrow(archive: Archive) -> Finding | None:
    narrow = (grey_widths(archive.images) < NARROWEST) & ~is_constant(archive.images)
    text = f"use fewer than {NARROWEST} of the 256 grey values (1st to 99th percentile)"
    return _counted("narrow_grey_range", narrow, text)


def _borders_by_class(archive: Archive, bordered: NDArray[np.bool_]) -> Finding | None:
    """The share of bordered images differs by a quarter or more between classes, beyond chance (chi²)."""
    present, labels = np.unique(archive.labels, return_inverse=True)
    if len(present) < 2 or bordered.all() or not bordered.any():
        return None
    table = np.stack([np.bincount(labels, weights=part) for part in (bordered, ~bordered)])
    shares = table[0] / table.sum(axis=0)
    if np.ptp(shares) < 0.25 or chi2_contingency(table).pvalue > 1e-3:
        return None
    most, fewest = (archive.class_names[present[place]] for place in (shares.argmax(), shares.argmin()))
    text = (
        f"borders of one value are in {shares.max():.0%} of the images of '{most}' "
        f"and in {shares.min():.0%} of '{fewest}'"
    )
    return Finding("borders_tell_class", int(bordered.sum()), (), text)


def _has_line(image: np.ndarray) -> bool:
    grey = np.asarray(Image.fromarray(np.ascontiguousarray(image)).convert("L"), np.int16)
    strokes = (grey - ndimage.grey_opening(grey, (5, 5)) >= _STEP) & (grey >= _BRIGHT)
    if strokes.sum() < 4 * _LETTERS:
        return False
    boxes = ndimage.find_objects(ndimage.label(strokes)[0])
    letters = [(box[0].start, box[0].stop, box[1].start, box[1].stop) for box in boxes]
    letters = [each for each in letters if 4 <= each[1] - each[0] <= _TALLEST * len(grey)]
    return any(_line_from(letter, letters) >= _LETTERS for letter in letters)


def _line_from(letter: tuple[int, int, int, int], letters: list[tuple[int, int, int, int]]) -> int:
    """How many letters follow to the right of one, it included, none further away than twice its height."""
    top, bottom, _, end = letter
    height, count = bottom - top, 1
    for other in sorted(letters, key=lambda each: each[2]):
        alike = (
            abs(other[1] - bottom) <= max(1, height // 3) and abs(other[1] - other[0] - height) <= height / 3
        )
        if alike and end <= other[2] <= end + 2 * height:
            count, end = count + 1, other[3]
    return count


def _counted(kind: str, found: NDArray[np.bool_], text: str) -> Finding | None:
    cases = np.flatnonzero(found)
    examples = tuple((int(case),) for case in cases[:EXAMPLES])
    sentence = f"{len(cases)} of {len(found)} images {text}"
    return Finding(kind, len(cases), examples, sentence) if len(cases) else None
