"""DICOM files: rescaled, windowed and with white where the standard says; patients become numbers."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medtl_core.data.importers.cases import Case, Picture
from medtl_core.data.importers.frame import Frame
from medtl_core.data.importers.window import EXAMPLES, to_grey
from medtl_core.errors import MedtlError
from medtl_core.files import one_line

if TYPE_CHECKING:
    from pydicom import Dataset

PATIENTS = "patients: numbered by the PatientID of the headers, which enters no archive; file names neither"
_OTHER_SUFFIXES = (".csv", ".html", ".ini", ".jpg", ".json", ".md", ".pdf", ".png", ".txt", ".xml")
# Decoders that are not under GPL, by the last part of the transfer syntax after 1.2.840.10008.1.2.4.
_DECODERS = {
    **dict.fromkeys(("51", "57", "70"), "python-gdcm"),
    **dict.fromkeys(("80", "81"), "pyjpegls"),
    **dict.fromkeys(("90", "91", "201", "202", "203"), "pylibjpeg and pylibjpeg-openjpeg"),
}


def is_dicom(path: Path) -> bool:
    """Whether a file may be DICOM by its name: any but those that are plainly something else."""
    return path.suffix.lower() not in _OTHER_SUFFIXES


def read_dicom(case: Case, frame: Frame) -> list[Picture]:
    """Every frame of a file, squares of uint8 as `frame` says.

    Values go through the modality transform (rescale slope and intercept, or its table) and through
    `frame.window`, or else the first window of the file (PS3.3 C.11.2.1.2, LINEAR and LINEAR_EXACT); images
    of 8 bits without a window stay as they are. MONOCHROME1 is inverted, palettes and YBR become RGB, pixels
    that are not square are made so.

    Raises:
        MedtlError: pydicom or a decoder is not installed, the file is no DICOM file, holds no pixels, is
            damaged or needs a window; one line with the case's name.
    """
    import_dicom()
    from pydicom import dcmread

    try:
        header = dcmread(case.path)
        _check(header)
        count = int(header.get("NumberOfFrames") or 1)
        return [_picture(header, index, count, frame) for index in range(count)]
    except MedtlError as error:
        raise MedtlError(f"{case.name}: {error}") from error
    except _unreadable() as error:
        raise _refusal(case, error) from error


def import_dicom() -> None:
    """MedtlError where pydicom is not installed."""
    if find_spec("pydicom") is None:
        raise MedtlError(
            "package pydicom is not installed, DICOM files need it; pip install 'medtl[importers]'"
        )


def _check(header: "Dataset") -> None:
    from pydicom.pixels.decoders.base import get_decoder

    if not any(key in header for key in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise MedtlError("found a DICOM file without pixels, expected an image; remove it from the folder")
    syntax = header.file_meta.TransferSyntaxUID
    if syntax.is_compressed and syntax.is_encapsulated:
        try:
            available = get_decoder(syntax).is_available
        except NotImplementedError:
            available = False
        if not available:
            package = _DECODERS.get(str(syntax).rpartition(".")[2])
            remedy = f"pip install {package}" if package else "convert the file to Explicit VR Little Endian"
            raise MedtlError(f"found pixels as {syntax.name}, expected a decoder that is installed; {remedy}")


def _picture(header: "Dataset", index: int, count: int, frame: Frame) -> Picture:
    from pydicom.pixels.processing import apply_color_lut
    from pydicom.pixels.utils import pixel_array

    stored = pixel_array(header, index=index)
    remarks = ["a frame of a multi-frame file"] if count > 1 else []
    if header.get("BurnedInAnnotation") == "YES":
        remarks.append("the header says that text is burnt in")
    if header.PhotometricInterpretation == "PALETTE COLOR":
        stored = apply_color_lut(stored, header)
        stored = (stored >> 8).astype(np.uint8) if stored.dtype == np.uint16 else stored
    if stored.ndim == 3:
        if stored.dtype != np.uint8:
            raise MedtlError(f"found colour of {header.BitsStored} bits, expected 8; save it with 8 bits")
        image = Image.fromarray(stored)
    else:
        grey, remark = _grey(header, index, stored, frame)
        remarks.append(remark)
        if header.PhotometricInterpretation == "MONOCHROME1":
            grey = 255 - grey
            remarks.append("MONOCHROME1 inverted")
        image = Image.fromarray(grey)
    return Picture(
        frame.square(image, _spacing(header, index)),
        None,
        tuple(remarks),
        patient=str(header.get("PatientID") or ""),
        position=index,
    )


def _grey(header: "Dataset", index: int, stored: NDArray, frame: Frame) -> tuple[NDArray[np.float32], str]:
    """Values 0 to 255 of one frame, and by which window."""
    from pydicom.pixels.processing import apply_modality_lut

    rescale = _holder(header, index, "RescaleSlope") or header
    values = np.asarray(apply_modality_lut(stored, rescale))
    if frame.window is not None:
        return to_grey(values, *frame.window.limits(values)), f"window {frame.window}"
    window = _holder(header, index, "WindowWidth")
    if window is not None:
        return to_grey(values, *_limits(window)), "window as the file says"
    if header.get("BitsStored", 16) <= 8 and values.min() >= 0 and values.max() <= 255:
        return values.astype(np.float32), "8 bits without a window"
    raise MedtlError(
        f"found values from {values.min():g} to {values.max():g} and no window in the file, expected one; "
        f"give {EXAMPLES}"
    )


def _limits(holder: "Dataset") -> tuple[float, float]:
    """Lowest and highest value of the first window."""
    kind = holder.get("VOILUTFunction", "LINEAR")
    centre, width = (float(np.atleast_1d(holder[k].value)[0]) for k in ("WindowCenter", "WindowWidth"))
    if kind not in ("LINEAR", "LINEAR_EXACT") or width <= (kind == "LINEAR"):
        raise MedtlError(
            f"found a window of kind {kind} and width {width:g}, expected a linear one; give {EXAMPLES}"
        )
    if kind == "LINEAR_EXACT":
        return centre - width / 2, centre + width / 2
    return centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2


def _spacing(header: "Dataset", index: int) -> tuple[float, float]:
    """Height and width of a pixel, (1, 1) where the file says nothing."""
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "PixelAspectRatio"):
        holder = _holder(header, index, keyword)
        if holder is not None:
            height, width = (float(value) for value in holder[keyword].value)
            if height > 0 and width > 0:
                return height, width
    return 1.0, 1.0


def _holder(header: "Dataset", index: int, keyword: str) -> "Dataset | None":
    """What holds a value for a frame: the file, or one of its functional groups (PS3.3 C.7.6.16)."""
    for holder in (header, *_functional_groups(header, index)):
        if holder.get(keyword) is not None:
            return holder
    return None


def _functional_groups(header: "Dataset", index: int) -> Iterator[Any]:
    for keyword, place in (
        ("PerFrameFunctionalGroupsSequence", index),
        ("SharedFunctionalGroupsSequence", 0),
    ):
        groups = header.get(keyword) or []
        if place < len(groups):
            for element in groups[place]:
                if element.VR == "SQ" and len(element.value):
                    yield element.value[0]


def _unreadable() -> tuple[type[Exception], ...]:
    """What pydicom and its decoders raise for a file that is no DICOM file, damaged or cut short."""
    import struct

    from pydicom.errors import BytesLengthException, InvalidDicomError

    return (
        InvalidDicomError, BytesLengthException, OSError, EOFError, AttributeError, KeyError, ValueError,
        TypeError, NotImplementedError, RuntimeError, IndexError, OverflowError, struct.error,
    )  # fmt: skip


def _refusal(case: Case, error: BaseException) -> MedtlError:
    return MedtlError(
        f"{case.name}: found a file that pydicom cannot read ({one_line(error)[:200]}), expected a DICOM "
        "image; replace it or move it away"
    )
