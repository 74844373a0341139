"""MATLAB files of version 7.3, which are HDF5: each holds an image, its mask and what is known of it."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medtl_core.data.importers.cases import Case, Picture
from medtl_core.data.importers.decode import mask_classes
from medtl_core.data.importers.frame import Frame
from medtl_core.data.importers.window import EXAMPLES, to_grey
from medtl_core.errors import MedtlError
from medtl_core.files import one_line

if TYPE_CHECKING:
    import h5py

SUFFIXES = (".mat",)
# What h5py raises for a file that is no HDF5 file, is damaged or lacks a variable.
_UNREADABLE = (OSError, KeyError, ValueError, TypeError, RuntimeError)


def is_matlab(path: Path) -> bool:
    """Whether a file is a MATLAB file by its name."""
    return path.suffix.lower() in SUFFIXES


def read_matlab(case: Case, frame: Frame) -> list[Picture]:
    """The image under `case.variables[0]`, with the mask under `case.variables[1]` if `case.masks` has one.

    MATLAB stores columns first, so that arrays are transposed. uint8 stays as it is; other numbers go through
    the window of `frame`.

    Raises:
        MedtlError: h5py is not installed, the file is damaged, older than version 7.3, lacks a variable,
            needs a window, or its mask does not fit; one line with the case's name.
    """
    import_matlab()
    name, mask_name = case.variables
    try:
        with _opened(case.path) as file:
            values = _matrix(file, name)
            mask = _matrix(file, mask_name) if case.masks else None
        if values.dtype == np.uint8:
            low, high, remark = 0.0, 255.0, "8 bits without a window"
        elif frame.window is not None:
            (low, high), remark = frame.window.limits(values), f"window {frame.window}"
        else:
            raise MedtlError(
                f"found {values.dtype} values from {values.min():g} to {values.max():g}, expected 8 bits or "
                f"a window; give {EXAMPLES}"
            )
        if mask is not None and mask.shape != values.shape:
            raise MedtlError(f"found a mask of {mask.shape}, expected {values.shape} as its image")
        marked = None if mask is None else Image.fromarray(mask_classes(mask, case.mask_values))
        remarks = [remark]
        if values.shape[0] != values.shape[1]:
            remarks.append("padded to a square" if frame.fit == "pad" else "cropped to a square")
        return [
            Picture(
                frame.square(Image.fromarray(to_grey(values, low, high))),
                None if marked is None else frame.square_mask(marked),
                tuple(remarks),
            )
        ]
    except MedtlError as error:
        raise MedtlError(f"{case.name}: {error}") from error
    except _UNREADABLE as error:
        raise _refusal(case.name, error) from error


def read_values(path: Path, name: str, variables: tuple[str, ...]) -> tuple[str, ...]:
    """Variables of a file as text: characters joined, a number as it is written, 7 and not 7.0.

    Raises:
        MedtlError: h5py is not installed, the file cannot be read, or lacks a variable; `name` is what the
            message calls it.
    """
    import_matlab()
    try:
        with _opened(path) as file:
            return tuple(_text(_dataset(file, variable)) for variable in variables)
    except MedtlError as error:
        raise MedtlError(f"{name}: {error}") from error
    except _UNREADABLE as error:
        raise _refusal(name, error) from error


def import_matlab() -> None:
    """MedtlError where h5py is not installed."""
    if find_spec("h5py") is None:
        raise MedtlError(
            "package h5py is not installed, MATLAB files need it; pip install 'medtl[importers]'"
        )


def _opened(path: Path) -> "h5py.File":
    import h5py

    if not h5py.is_hdf5(path):
        raise MedtlError("found no MATLAB file of version 7.3, expected HDF5; save it again with -v7.3")
    return h5py.File(path, "r")


def _dataset(file: "h5py.File", variable: str) -> Any:
    import h5py

    found = file.get(variable)
    if not isinstance(found, h5py.Dataset):
        raise MedtlError(f"found no variable '{variable}', expected it; look at the publisher's description")
    return found


def _matrix(file: "h5py.File", variable: str) -> NDArray:
    dataset = _dataset(file, variable)
    if len(dataset.shape) != 2 or dataset.dtype.kind not in "buif" or 0 in dataset.shape:
        raise MedtlError(
            f"found {dataset.dtype} {dataset.shape} in '{variable}', expected a matrix of numbers"
        )
    return np.ascontiguousarray(dataset[()].T)


def _text(dataset: Any) -> str:
    values = np.asarray(dataset[()]).ravel()
    if dataset.attrs.get("MATLAB_class", b"") == b"char":
        return "".join(map(chr, values.tolist()))
    if values.size != 1:
        raise MedtlError(f"found {values.size} numbers in '{dataset.name}', expected one, or text")
    return f"{values[0]:g}"


def _refusal(name: str, error: BaseException) -> MedtlError:
    return MedtlError(
        f"{name}: found a file that h5py cannot read ({one_line(error)[:200]}), expected a MATLAB file of "
        "version 7.3; replace it"
    )
