"""Arrays in and out of an .npz file: no pickles on the way in, no half-written file on the way out."""

import uuid
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from medtl_core.errors import MedtlError

_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,
    RuntimeError,
)
_EXPECTED = "expected a whole .npz archive; get or write the file again"


def read_arrays(path: Path, wanted: Callable[[str], bool] | None = None) -> dict[str, np.ndarray]:
    """The arrays of an .npz file by key, all of them or those whose key is `wanted`.

    Raises:
        MedtlError: no such file, no right to read it, cut short or damaged, not an .npz file, or holding
            pickled Python objects, which are never loaded.
    """
    arrays: dict[str, np.ndarray] = {}
    for key, member in _members(path):
        if wanted is not None and not wanted(key):
            continue
        try:
            value = member[key]
        except _UNREADABLE as error:
            raise _member_error(path, key, error) from error
        except MemoryError as error:
            raise MedtlError(f"{path}: key '{key}': too large for this machine's memory") from error
        if not isinstance(value, np.ndarray):
            raise MedtlError(
                f"{path}: key '{key}': found a member that is no array, expected NumPy arrays only"
            )
        arrays[key] = value
    return arrays


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Shape of every array of an .npz file, from the headers alone: nothing is unpacked."""
    shapes: dict[str, tuple[int, ...]] = {}
    keys = [key for key, _ in _members(path)]
    for key in keys:
        try:
            with zipfile.ZipFile(path) as bundle, bundle.open(f"{key}.npy") as stream:
                version = np.lib.format.read_magic(stream)
                read = (
                    np.lib.format.read_array_header_1_0
                    if version == (1, 0)
                    else np.lib.format.read_array_header_2_0
                )
                shapes[key] = read(stream)[0]
        except (*_UNREADABLE, KeyError) as error:
            raise _member_error(path, key, error) from error
    return shapes


def write_arrays(arrays: Mapping[str, np.ndarray], path: Path) -> None:
    """Write a compressed .npz file at once: it appears whole under its name, or not at all.

    Raises:
        MedtlError: no right or no space to write.
    """
    # Not np.savez: its own parameters would clash with keys of the same name, and it would pickle objects.
    with replacing(path) as scratch, zipfile.ZipFile(scratch, "x", zipfile.ZIP_DEFLATED) as bundle:
        for key, array in arrays.items():
            with bundle.open(f"{key}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A scratch file beside `path` that takes its place when the block ends well and vanishes when not."""
    scratch = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield scratch
        scratch.replace(path)
    except OSError as error:
        raise MedtlError(f"{path}: cannot write ({_in_one_line(error)}); nothing was left behind") from error
    finally:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)


def _members(path: Path) -> Iterator[tuple[str, np.lib.npyio.NpzFile]]:
    try:
        opened = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise MedtlError(f"{path}: no such file; expected an .npz archive") from error
    except _UNREADABLE as error:
        raise _file_error(path, error) from error
    if not isinstance(opened, np.lib.npyio.NpzFile):
        raise MedtlError(f"{path}: found a single .npy array, expected an .npz archive with named arrays")
    with opened:
        for key in opened.files:
            if not key.isprintable():
                raise MedtlError(f"{path}: key {key!r}: found characters that cannot be printed, {_EXPECTED}")
            yield key, opened


def _file_error(path: Path, error: Exception) -> MedtlError:
    if "pickle" in str(error):
        return MedtlError(
            f"{path}: found a pickle or no NumPy file at all (pickles are never loaded), {_EXPECTED}"
        )
    return MedtlError(f"{path}: found a file that cannot be read ({_in_one_line(error)}), {_EXPECTED}")


def _member_error(path: Path, key: str, error: Exception) -> MedtlError:
    if "allow_pickle" in str(error):
        return MedtlError(
            f"{path}: key '{key}': found pickled Python objects, expected numbers or text; never loaded"
        )
    return MedtlError(f"{path}: key '{key}': found damaged data ({_in_one_line(error)}), {_EXPECTED}")


def _in_one_line(error: Exception) -> str:
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(words.split()) or type(error).__name__
