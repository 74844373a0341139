"""Which reader a file is read by: Pillow, pydicom, nibabel or h5py, by the end of its name."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from medtl_core.data.importers import decode, dicom, matlab, nifti
from medtl_core.data.importers.cases import Case, Picture
from medtl_core.data.importers.frame import Frame


@dataclass(frozen=True)
class Reader:
    """How one kind of file is read.

    Attributes:
        name: what the archive's provenance calls it.
        read: a case and a frame to its pictures; MedtlError with the case's name.
    """

    name: str
    read: Callable[[Case, Frame], list[Picture]]


DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
_TOGETHER, _BATCH = 16, 1 << 21  # files, and bytes of their pictures in colour
IMAGES = Reader("Pillow", decode.decode)
NIFTI = Reader("nibabel", nifti.read_nifti)
MATLAB = Reader("h5py", matlab.read_matlab)
DICOM = Reader("pydicom", dicom.read_dicom)


def reader_of(path: Path) -> Reader:
    """The reader for a file; a name without a known suffix may be that of a DICOM file."""
    if nifti.is_nifti(path):
        return NIFTI
    if matlab.is_matlab(path):
        return MATLAB
    return IMAGES if path.suffix.lower() in decode.SUFFIXES else DICOM


def read_together(paths: Iterable[Path], frame: Frame) -> int:
    """Files that a thread may read one after the other before it hands them over, in bounded memory.

    Several where all are images of one picture each that become small, else one.
    """
    if not all(path.suffix.lower() in decode.SUFFIXES for path in paths):
        return 1
    return max(1, min(_TOGETHER, _BATCH // (3 * frame.size**2)))


def is_readable(path: Path) -> bool:
    """Whether a file has the name of an image that can be read."""
    return path.suffix.lower() in (*decode.SUFFIXES, *DICOM_SUFFIXES) or nifti.is_nifti(path)
