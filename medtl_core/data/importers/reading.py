"""Which reader a file is read by: Pillow, pydicom, nibabel or h5py, by the end of its name."""

from collections.abc import Callable
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


def is_readable(path: Path) -> bool:
    """Whether a file has the name of an image that can be read."""
    return path.suffix.lower() in (*decode.SUFFIXES, *DICOM_SUFFIXES) or nifti.is_nifti(path)
