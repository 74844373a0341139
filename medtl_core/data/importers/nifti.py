"""NIfTI volumes as slices along an axis of the patient; a volume is a patient unless the path says better."""

from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medtl_core.data.importers.cases import Case, Listing, Picture, Problems
from medtl_core.data.importers.decode import mask_classes
from medtl_core.data.importers.folders import list_folders
from medtl_core.data.importers.frame import PLANES, Frame
from medtl_core.data.importers.window import EXAMPLES, Window, to_grey
from medtl_core.errors import MedtlError
from medtl_core.files import one_line

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Image

SUFFIXES = (".nii", ".nii.gz")
PATIENTS = "patients: every volume is one"


def is_nifti(path: Path) -> bool:
    """Whether a file is a NIfTI volume by its name."""
    return path.name.lower().endswith(SUFFIXES)


def list_volumes(
    source: Path, problems: Problems, *, patient: str | None = None, mask_suffix: str | None = None
) -> Listing:
    """The volumes of a folder for each class; arguments and errors as `list_folders`.

    The slices of a volume whose patient is not known by `patient` have the volume for their patient.
    """
    listing = list_folders(
        source, problems, patient=patient, mask_suffix=mask_suffix, meant=is_nifti, otherwise=PATIENTS
    )
    cases = tuple(
        replace(case, patient=case.patient or case.name.partition(".nii")[0]) for case in listing.cases
    )
    return replace(listing, cases=cases)


def read_nifti(case: Case, frame: Frame) -> list[Picture]:
    """The slices of a volume along `frame.plane`, squares of uint8 as `frame` says, with its mask's.

    The volume is turned to the axes of the patient (RAS+). Axial slices show the front on top, the others the
    head; axial and coronal ones show the patient's right on the left, sagittal ones the front. Slices of one
    value are left out and counted; percentiles of a window are those of the whole volume.

    Raises:
        MedtlError: nibabel is not installed, the file is damaged, is no volume, needs a window or is empty,
            or the mask does not fit; one line with the case's name.
    """
    import_nifti()
    try:
        volume = opened(case.path)
        values = values_of(volume)
        mask = _joined_mask(case, volume) if case.masks else None
        low, high = value_limits(values, frame.window)
        zooms = [float(zoom) for zoom in volume.header.get_zooms()[:3]]
        pictures = list(_slices(values, mask, (low, high), zooms, frame))
    except MedtlError as error:
        raise MedtlError(f"{case.name}: {error}") from error
    except Exception as error:
        if not is_reading_error(error):
            raise
        raise MedtlError(
            f"{case.name}: found a file that nibabel cannot read ({one_line(error)[:200]}), expected a NIfTI "
            "volume; replace it"
        ) from error
    if not pictures:
        raise MedtlError(f"{case.name}: found a volume of empty slices alone, expected an image; remove it")
    empty = values.shape[PLANES[frame.plane]] - len(pictures)
    return [replace(pictures[0], dropped=empty), *pictures[1:]]


def import_nifti() -> None:
    """MedtlError where nibabel is not installed."""
    if find_spec("nibabel") is None:
        raise MedtlError(
            "package nibabel is not installed, NIfTI files need it; pip install 'medtl[importers]'"
        )


def opened(path: Path) -> "Nifti1Image":
    """A volume, turned to the axes of the patient (RAS+). MedtlError for what is no volume of grey values."""
    import nibabel

    volume = nibabel.load(path)
    if not isinstance(volume, nibabel.Nifti1Image | nibabel.Nifti2Image):
        raise MedtlError(f"found {type(volume).__name__}, expected a NIfTI volume; convert it")
    shape = volume.shape
    if volume.get_data_dtype().fields is not None or len(shape) < 3 or set(shape[3:]) - {1}:
        raise MedtlError(f"found axes of {shape}, expected three; save one volume of grey values")
    canonical = nibabel.as_closest_canonical(volume)
    return canonical


def values_of(volume: "Nifti1Image") -> NDArray:
    """(X, Y, Z) with slope and intercept of the file applied."""
    return np.asanyarray(volume.dataobj).reshape(volume.shape[:3])


def value_limits(values: NDArray, window: Window | None) -> tuple[float, float]:
    """Values that become 0 and 255. MedtlError for NaN, and for more than 8 bits without a window."""
    if not np.isfinite(values).all():
        count = int((~np.isfinite(values)).sum())
        raise MedtlError(f"found {count} values that are NaN or infinite, expected numbers; repair the file")
    if window is not None:
        return window.limits(values)
    if values.dtype == np.uint8:
        return 0, 255
    raise MedtlError(
        f"found {values.dtype} values from {values.min():g} to {values.max():g}, expected 8 bits or a "
        f"window; give {EXAMPLES}"
    )


def _joined_mask(case: Case, volume: "Nifti1Image") -> NDArray[np.uint8]:
    joined = np.zeros(volume.shape[:3], np.uint8)
    for path in case.masks:
        mask = opened(path)
        if mask.shape[:3] != volume.shape[:3] or not np.allclose(mask.affine, volume.affine, atol=1e-3):
            raise MedtlError(
                f"mask {path.name}: found {mask.shape[:3]} voxels or another place in space, expected the "
                f"{volume.shape[:3]} of its volume; resample it"
            )
        try:
            joined = np.maximum(joined, mask_classes(values_of(mask), case.mask_values))
        except MedtlError as error:
            raise MedtlError(f"mask {path.name}: {error}") from error
    return joined


def _slices(
    values: NDArray,
    mask: NDArray[np.uint8] | None,
    limits: tuple[float, float],
    zooms: list[float],
    frame: Frame,
) -> Iterator[Picture]:
    axis = PLANES[frame.plane]
    across, up = (other for other in range(3) if other != axis)
    spacing = (zooms[up], zooms[across])
    remark = "8 bits without a window" if frame.window is None else f"window {frame.window}"
    for index in range(values.shape[axis]):
        plane = _shown(values, axis, index)
        marked = None if mask is None else _shown(mask, axis, index)
        if plane.min() == plane.max() and (marked is None or not marked.any()):
            continue
        yield Picture(
            frame.square(Image.fromarray(to_grey(plane, *limits)), spacing),
            None if marked is None else frame.square_mask(Image.fromarray(marked), spacing),
            (remark,),
            position=index,
        )


def _shown(values: NDArray, axis: int, index: int) -> NDArray:
    """One slice as it is looked at: rows from the head or the front down, columns from right or front."""
    return np.ascontiguousarray(np.take(values, index, axis)[::-1, ::-1].T)


def is_reading_error(error: Exception) -> bool:
    """Whether nibabel, gzip or NumPy raise this for a file that is damaged."""
    import zlib

    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    return isinstance(error, ImageFileError | HeaderDataError | zlib.error | OSError | EOFError | ValueError)
