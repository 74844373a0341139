"""From a listing of cases to an archive on disk, in parallel and in bounded memory."""

import warnings
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medtl_core import __version__
from medtl_core.data.archives.archive import Archive, write_archive
from medtl_core.data.importers.cases import Case, Listing, Picture, Problems, require_valid
from medtl_core.data.importers.frame import Frame
from medtl_core.data.importers.parallel import in_order
from medtl_core.data.importers.pixels import PixelFile
from medtl_core.data.importers.reading import read_together, reader_of
from medtl_core.errors import MedtlError
from medtl_core.files import one_line


@dataclass(frozen=True)
class Imported:
    """What became of an import.

    Attributes:
        path: the archive.
        images: images of each class.
        notes: how the archive was made, as it stands in its provenance.
        problems: files that were left out, one line each.
    """

    path: Path
    images: dict[str, int]
    notes: tuple[str, ...]
    problems: tuple[str, ...]


def import_archive(
    listing: Listing,
    frame: Frame,
    out: Path,
    problems: Problems,
    *,
    workers: int | None = None,
    progress: bool = False,
) -> Imported:
    """Read every case and write the archive; the images are never all in memory, but in a file on disk.

    Args:
        out: a new file, NAME.npz.
        problems: raises at the first file that cannot be read, or leaves it out and keeps what is wrong.
        workers: files read at a time; None: one for each core.
        progress: a bar on stderr, where that is a terminal.

    Raises:
        MedtlError: `out` exists or cannot be written, the disk is full, a file cannot be read, fewer than two
            classes are left. Nothing is left behind then.
    """
    _require_new(out)
    require_valid(listing, out.name)
    cases = _with_masks_throughout(listing.cases, problems)
    with warnings.catch_warnings():
        # An image of too many pixels is refused; Pillow would only warn between its limit and twice that.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        # On values that break the standard here or there and are read all the same.
        warnings.filterwarnings("ignore", module="pydicom")
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            with (
                PixelFile(out.parent, frame.size, frame.colours == "rgb") as images,
                PixelFile(out.parent, frame.size) as masks,
            ):
                table = _Table(images, masks, listing)
                results = in_order(
                    lambda case: reader_of(case.path).read(case, frame),
                    cases,
                    workers,
                    progress,
                    "read",
                    read_together((case.path for case in cases), frame),
                )
                with closing(results):
                    for case, result in results:
                        if isinstance(result, MedtlError):
                            problems.add(result)
                        else:
                            table.add(case, result)
                archive = table.archive(out.stem, frame, _left_out(problems))
                write_archive(archive, out)
        except OSError as error:
            raise MedtlError(
                f"{out}: cannot be written ({one_line(error)}); free space or choose another folder"
            ) from error
    counts = np.bincount(archive.labels, minlength=archive.n_classes).tolist()
    return Imported(
        out,
        dict(zip(archive.class_names, counts, strict=True)),
        archive.provenance,
        tuple(str(problem) for problem in problems.met),
    )


class _Table:
    """The columns of the archive as they grow; pixels go to the disk at once."""

    def __init__(self, images: PixelFile, masks: PixelFile, listing: Listing) -> None:
        self.images, self.masks = images, masks
        self.listing = listing
        self.cases: list[Case] = []
        self.labels: list[str] = []
        self.positions: list[int] = []
        self.remarks = Counter[str]()
        self.patients: list[str] = []
        self.numbers: dict[str, int] = {}
        self.headers = False
        self.dropped = self.coloured = 0

    def add(self, case: Case, pictures: Sequence[Picture]) -> None:
        self.coloured += any(picture.pixels.ndim == 3 for picture in pictures)
        for picture in pictures:
            self.images.add(picture.pixels)
            if picture.mask is not None:
                self.masks.add(picture.mask)
            self.cases.append(case)
            self.labels.append(self._label(case, picture))
            self.positions.append(picture.position)
            self.dropped += picture.dropped
            self.headers |= picture.patient is not None
            self.remarks.update(picture.remarks)
            self.patients.append(case.patient or self._number(picture.patient or ""))

    def archive(self, name: str, frame: Frame, notes: Sequence[str]) -> Archive:
        listing = self.listing
        number = {label: index for index, label in enumerate(listing.class_names)}
        if missing := [each for each in listing.class_names if each not in self.labels]:
            raise MedtlError(
                f"{name}: found no image that can be read in class '{missing[0]}', expected at least one of "
                "each class; repair the files or remove the class"
            )
        n = len(self.cases)
        masked = bool(self.cases[0].masks)
        return Archive(
            name=name,
            images=self.images.array(),
            labels=np.array([number[label] for label in self.labels], np.int64),
            class_names=listing.class_names,
            groups=np.array(self.patients) if any(self.patients) else None,
            domains=self._column("site"),
            masks=self.masks.array() if masked else None,
            mask_names=listing.mask_names if masked else (),
            splits=self._column("split"),
            metadata=self._metadata(),
            provenance=(
                *listing.notes,
                *_frame_notes(frame),
                self._colours(frame),
                *notes,
                *([f"left out: {self.dropped} empty slices"] if self.dropped else []),
                *(f"{count} of {n} images: {remark}" for remark, count in sorted(self.remarks.items())),
                f"imported by medtl {__version__}",
            ),
        )

    def _colours(self, frame: Frame) -> str:
        if frame.colours is not None:
            return f"colours: {frame.colours}, as asked for"
        files = len({case.name for case in self.cases})
        return (
            f"colours: RGB, as {self.coloured} of {files} files are in colour"
            if self.coloured
            else ("colours: grey, as all files are")
        )

    def _label(self, case: Case, picture: Picture) -> str:
        if not self.listing.labelled_by_masks or picture.mask is None:
            return case.label
        counts = np.bincount(picture.mask.ravel(), minlength=2)
        return self.listing.mask_names[int(counts[1:].argmax()) + 1 if counts[1:].any() else 0]

    def _number(self, patient: str) -> str:
        """A number for a patient of a file's header: what the header calls a person enters no archive."""
        if not patient.strip():
            return ""
        return f"patient_{self.numbers.setdefault(patient.strip(), len(self.numbers) + 1)}"

    def _column(self, field: str) -> NDArray[np.str_] | None:
        values = [getattr(case, field) for case in self.cases]
        return None if all(value is None for value in values) else np.array([v or "" for v in values])

    def _metadata(self) -> dict[str, NDArray]:
        columns: dict[str, NDArray] = {
            key: np.array([case.extra[key] for case in self.cases]) for key in self.cases[0].extra
        }
        if not self.headers:  # names of DICOM files may name people
            columns["file"] = np.array([case.name for case in self.cases])
        if any(self.positions):
            columns["position"] = np.array(self.positions, np.int64)
        return columns


def _with_masks_throughout(cases: Sequence[Case], problems: Problems) -> tuple[Case, ...]:
    """The cases, those without a mask taken out where others have one: no mask is no empty mask."""
    if not any(case.masks for case in cases):
        return tuple(cases)
    for case in cases:
        if not case.masks:
            problems.add(
                MedtlError(
                    f"{case.name}: found no mask, expected one as others have; add it, "
                    "all 0 where nothing is marked"
                )
            )
    return tuple(case for case in cases if case.masks)


def _frame_notes(frame: Frame) -> list[str]:
    whole = "whole images on black" if frame.fit == "pad" else "central squares"
    notes = [f"size: {frame.size} px, {whole}, bilinear with anti-aliasing, masks by the nearest pixel"]
    return notes if frame.window is None else [*notes, f"window: {frame.window} where more than 8 bits"]


def _left_out(problems: Problems) -> list[str]:
    return [f"left out: {len(problems.met)} files with problems"] if problems.met else []


def _require_new(out: Path) -> None:
    if out.suffix != ".npz":
        raise MedtlError(f"--out: found '{out}', expected NAME.npz")
    if out.exists():
        raise MedtlError(
            f"--out: {out} exists already, expected a new file; choose another name or delete it"
        )
