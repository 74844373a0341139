"""The one way to write a file whole, and to read JSON and arrays back so that any damage is one line.

A file is written beside its place, synced to the disk and renamed: a reader sees the old file or the new one,
never a half, and after a power cut there is no empty file under the final name.
"""

import json
import os
import struct
import tempfile
import time
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn, TypeVar

from medtl_core.errors import MedtlError
from medtl_core.memory import require_memory
from medtl_core.npz import write_member

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")
PART = ".part-"
_ABANDONED_AFTER_S = 3600.0  # what a process that was killed while writing left behind
# What NumPy, zipfile and zlib raise for a file whose bytes were changed anywhere.
_UNREADABLE = (
    zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError,
    SyntaxError, tokenize.TokenError, struct.error, LookupError, AttributeError, TypeError, OverflowError,
)  # fmt: skip
_MISFITS = (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError, MedtlError)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A scratch file beside `path` that takes its place when the block ends well, and vanishes when not.

    The file gets the permissions that the umask gives a new file. Raises MedtlError where the folder cannot
    be made or written to, or the disk is full.
    """
    scratch: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=PART)
        os.close(handle)
        scratch = Path(name)
        yield scratch
        os.chmod(scratch, 0o666 & ~_umask())
        _sync(scratch)
        os.replace(scratch, path)
        _sync(path.parent)
    except OSError as error:
        raise MedtlError(
            f"{path}: cannot be written ({error.strerror or error}); free space or choose another folder"
        ) from error
    finally:
        if scratch is not None:
            with suppress(OSError):
                scratch.unlink(missing_ok=True)


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Let `write` fill an open file that then takes the place of `path`; errors as `replacing`."""
    with replacing(path) as scratch, scratch.open("wb") as file:
        write(file)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text; errors as `replacing`."""
    write_atomically(path, lambda file: file.write(text.encode()))


def write_json(path: Path, content: Any) -> None:
    """Write JSON with sorted names, without NaN or infinity; errors as `replacing`, ValueError for those."""
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def write_arrays(path: Path, arrays: Mapping[str, "np.ndarray"]) -> None:
    """Write arrays of numbers or text as an .npz file; errors as `replacing`.

    Arrays are compressed, except for large ones that would hardly become smaller: grey values of photographs
    and X-rays deflate by a tenth to a third, which takes ten times as long as decoding their files.
    """
    with replacing(path) as scratch, zipfile.ZipFile(scratch, "w") as bundle:
        for name, array in arrays.items():
            write_member(bundle, name, array)


def sweep_parts(folder: Path) -> None:
    """Remove the scratch files that processes killed more than an hour ago left in `folder`."""
    for part in folder.glob(f"{PART}*"):
        with suppress(FileNotFoundError):  # its process may finish it meanwhile
            if time.time() - part.stat().st_mtime > _ABANDONED_AFTER_S:
                part.unlink()


def read_text(path: Path, *, expected: str, remedy: str) -> str:
    """The text of a UTF-8 file. MedtlError `path: found …, expected …; remedy` where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise MedtlError(f"{path}: no such file, expected {expected}; {remedy}") from error
    except (OSError, UnicodeDecodeError) as error:
        _refuse(path, error, expected, remedy)


def parse_json(text: str, parse: Callable[[Any], T], *, place: object, expected: str, remedy: str) -> T:
    """What `parse` makes of JSON `text`.

    Whatever is wrong with the text, or with what it says (`parse` raises KeyError, TypeError, ValueError or
    MedtlError), becomes one MedtlError: `place: found …, expected …; remedy`.
    """
    try:
        return parse(json.loads(text, parse_constant=_no_number))
    except (*_MISFITS, RecursionError) as error:
        _refuse(place, error, expected, remedy)


def read_json(path: Path, parse: Callable[[Any], T], *, expected: str, remedy: str) -> T:
    """What `parse` makes of a JSON file; errors as `read_text` and `parse_json`."""
    text = read_text(path, expected=expected, remedy=remedy)
    return parse_json(text, parse, place=path, expected=expected, remedy=remedy)


def read_arrays(
    path: Path,
    wanted: Callable[[str], bool] | None = None,
    *,
    expected: str = "a whole .npz archive",
    remedy: str = "get or write the file again",
) -> "dict[str, np.ndarray]":
    """The arrays of an .npz file by name: all of them, or those whose name is `wanted`.

    Raises MedtlError, in one line, for a file that is missing, unreadable, cut short or damaged, that is no
    .npz file, that holds pickled Python objects (they are never loaded), or that is too large for the memory
    that is free.
    """
    require_memory(_unpacked_bytes(path, wanted), path)
    arrays: dict[str, np.ndarray] = {}
    for name, read in _members(path, expected, remedy):
        if wanted is None or wanted(name):
            arrays[name] = read()
    return arrays


def read_shapes(
    path: Path, *, expected: str = "a whole .npz archive", remedy: str = "get or write the file again"
) -> dict[str, tuple[int, ...]]:
    """Shape of every array of an .npz file, from the headers alone; errors as `read_arrays`."""
    import numpy as np

    shapes: dict[str, tuple[int, ...]] = {}
    for name, _ in _members(path, expected, remedy):
        try:
            with zipfile.ZipFile(path) as bundle, bundle.open(f"{name}.npy") as stream:
                first = np.lib.format.read_magic(stream) == (1, 0)
                header = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
                shapes[name] = header(stream)[0]
        except _UNREADABLE as error:
            _refuse(f"{path}: key '{name}'", error, expected, remedy)
    return shapes


def _unpacked_bytes(path: Path, wanted: Callable[[str], bool] | None) -> int:
    """Bytes of the wanted arrays of an .npz file once unpacked; 0 for a file that cannot be read."""
    with suppress(*_UNREADABLE), zipfile.ZipFile(path) as bundle:
        names = [(info.filename.removesuffix(".npy"), info.file_size) for info in bundle.infolist()]
        return sum(size for name, size in names if wanted is None or wanted(name))
    return 0


def _members(path: Path, expected: str, remedy: str) -> "Iterator[tuple[str, Callable[[], np.ndarray]]]":
    """Each name in an .npz file, with a function that reads its array."""
    import numpy as np

    try:
        opened = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise MedtlError(f"{path}: no such file, expected {expected}; {remedy}") from error
    except _UNREADABLE as error:
        if "pickle" in str(error):
            found = "a pickle or no NumPy file at all (pickles are never loaded)"
            raise MedtlError(f"{path}: found {found}, expected {expected}; {remedy}") from error
        _refuse(path, error, expected, remedy)
    if not isinstance(opened, np.lib.npyio.NpzFile):
        raise MedtlError(f"{path}: found a single .npy array, expected {expected}; {remedy}")
    with opened:
        for name in opened.files:
            if not name.isprintable():
                place = f"{path}: key {name!r}"
                raise MedtlError(f"{place}: found unprintable characters, expected {expected}; {remedy}")
            yield name, partial(_array, path, opened, name, expected, remedy)


def _array(path: Path, opened: Mapping[str, Any], name: str, expected: str, remedy: str) -> "np.ndarray":
    import numpy as np

    place = f"{path}: key '{name}'"
    try:
        value = opened[name]
    except MemoryError as error:
        raise MedtlError(f"{place}: too large for this machine's memory") from error
    except _UNREADABLE as error:
        if "allow_pickle" in str(error):
            found = "pickled Python objects"
            raise MedtlError(f"{place}: found {found}, expected numbers or text; never loaded") from error
        _refuse(place, error, expected, remedy, found="damaged data")
    if not isinstance(value, np.ndarray):
        raise MedtlError(f"{place}: found a member that is no array, expected NumPy arrays only")
    return value


def _refuse(
    place: object, error: BaseException, expected: str, remedy: str, found: str = "a file that cannot be read"
) -> NoReturn:
    raise MedtlError(f"{place}: found {found} ({one_line(error)}), expected {expected}; {remedy}") from error


def one_line(error: BaseException) -> str:
    """What an error says, in one line; its class where it says nothing."""
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    if isinstance(error, KeyError):
        words = f"no {words}"
    return " ".join(words.split()) or type(error).__name__


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    current = os.umask(0o077)
    os.umask(current)
    return current


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
