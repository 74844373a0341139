"""What is to be imported: cases with their labels, and the problems that were met on the way."""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medtl_core.data.archives.checks import check_arrays
from medtl_core.errors import MedtlError


@dataclass(frozen=True)
class Case:
    """One file to be read, and what is known of it.

    Attributes:
        path: the file.
        name: what messages and the archive call it, its path within the source.
        label: name of its class.
        patient, site, split: text, None where the source has none; split is train, val or test.
        masks: mask files of an image, joined into one mask.
        mask_values: the values in its mask files by class, background first; () for 0 and one other value.
        box: the part of the image that is the case, as left, top, right, bottom in pixels; right and bottom
            are the first beyond it, and what lies outside the image is left out. None: all of it.
        variables: names of image and mask in a MATLAB file, such as ("cjdata/image", "cjdata/tumorMask").
        extra: further columns of a table, as text.
    """

    path: Path
    name: str
    label: str
    patient: str | None = None
    site: str | None = None
    split: str | None = None
    masks: tuple[Path, ...] = ()
    mask_values: tuple[int, ...] = ()
    box: tuple[int, int, int, int] | None = None
    variables: tuple[str, str] = ("", "")
    extra: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Picture:
    """One image that was read; a file of several frames or slices gives several.

    Attributes:
        pixels: uint8 (size, size) or, in colour, (size, size, 3), as `Frame` says.
        mask: uint8 (size, size) of 0 and 1, or of the places in `Case.mask_values`; or None.
        remarks: what was done to it beyond decoding, counted over the archive.
        patient: the patient by the file's own header, never written as it stands; None: the header has none.
        position: index of the frame or slice in its file.
        dropped: empty slices of the file that were left out, told with its first picture.
    """

    pixels: NDArray[np.uint8]
    mask: NDArray[np.uint8] | None = None
    remarks: tuple[str, ...] = ()
    patient: str | None = None
    position: int = 0
    dropped: int = 0


@dataclass(frozen=True)
class Listing:
    """The cases of a source, its classes, and the sentences about how it was read.

    Attributes:
        mask_names: what the values of the masks mean, if there are masks.
        labelled_by_masks: a picture's class is the name that most of its mask has, background left aside, or
            that of the background where there is nothing else; then `class_names` are the `mask_names`.
    """

    cases: tuple[Case, ...]
    class_names: tuple[str, ...]
    notes: tuple[str, ...]
    mask_names: tuple[str, ...] = ("background", "foreground")
    labelled_by_masks: bool = False


class Problems:
    """What is wrong with single files: raised at once, or kept for a list at the end (`keep_going`)."""

    def __init__(self, keep_going: bool = False) -> None:
        self.keep_going = keep_going
        self.met: list[MedtlError] = []

    def add(self, error: MedtlError) -> None:
        """Keep an error, or raise it."""
        if not self.keep_going:
            raise error
        self.met.append(error)


def plain_name(name: str) -> str:
    """A name without what a file system may overlook: case, Unicode form, spaces at its ends."""
    return unicodedata.normalize("NFC", name).strip().casefold()


def alike(names: Iterable[str]) -> tuple[str, str] | None:
    """The first two different names that are one by `plain_name`, or None."""
    seen: dict[str, str] = {}
    for name in sorted(set(names)):
        if (other := seen.setdefault(plain_name(name), name)) != name:
            return other, name
    return None


def checked_classes(labels: Iterable[str], source: str) -> tuple[str, ...]:
    """The different labels in order.

    Raises:
        MedtlError: fewer than two, or two that differ only in case, Unicode form or spaces.
    """
    names = tuple(sorted(set(labels)))
    if (pair := alike(names)) is not None:
        raise MedtlError(
            f"{source}: found classes '{pair[0]}' and '{pair[1]}', expected names that differ in more than "
            "case, Unicode form or spaces; give them one name"
        )
    if len(names) < 2:
        raise MedtlError(
            f"{source}: found {len(names)} class ({', '.join(names) or 'none'}), expected at least 2"
        )
    return names


def joined(listings: dict[str, Listing]) -> Listing:
    """Several listings as one, with the sites that their keys say; names and notes begin with them.

    Raises:
        MedtlError: classes that differ only in case, Unicode form or spaces.
    """
    cases = tuple(
        replace(case, site=site, name=f"{site}/{case.name}")
        for site, listing in listings.items()
        for case in listing.cases
    )
    notes = tuple(f"{site}: {note}" for site, listing in listings.items() for note in listing.notes)
    return Listing(cases, checked_classes((case.label for case in cases), ", ".join(listings)), notes)


def require_valid(listing: Listing, source: str) -> None:
    """MedtlError for labels, patients, sites or names that no archive may hold, before any image is read."""
    n = len(listing.cases)
    arrays: dict[str, NDArray] = {
        "images": np.zeros((n, 1, 1), np.uint8),
        "labels": np.zeros(n, np.int64),
        "class_names": np.array(listing.class_names),
        "groups": np.array([case.patient or "" for case in listing.cases]),
        "domains": np.array([case.site or "none" for case in listing.cases]),
        "provenance": np.array(listing.notes),
    }
    extra = {key: np.array([case.extra[key] for case in listing.cases]) for key in listing.cases[0].extra}
    check_arrays(extra | arrays, source)
