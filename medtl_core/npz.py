"""One array as a member of an .npz file: compressed where that is worth its time, and not kept in memory."""

import mmap
import zipfile
import zlib
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

_LARGE = 1 << 20  # bytes from which an array is sampled before it is compressed
_PIECE = 1 << 22  # bytes of a large array that are written at a time
_FAST = 1  # zlib's level for large arrays: four times as fast as its default, for a tenth more bytes
_SAMPLE, _MIDDLE = 32, 1 << 13  # rows that are sampled, and bytes of each


def write_member(bundle: zipfile.ZipFile, name: str, array: "np.ndarray") -> None:
    """Write an array of numbers or text as NAME.npy; the same array gives the same bytes.

    A large array that would hardly shrink is stored as it is. ValueError for Python objects.
    """
    # Not np.savez: its own parameters would clash with arrays of the same name, and it would pickle objects.
    header = zipfile.ZipInfo(f"{name}.npy")  # dated 1980
    header.compress_type = zipfile.ZIP_DEFLATED if _deflates(array) else zipfile.ZIP_STORED
    if array.nbytes >= _LARGE:
        header._compresslevel = _FAST  # type: ignore[attr-defined]  # public from Python 3.13 on alone
    with bundle.open(header, "w", force_zip64=True) as member:
        _write_array(member, array)


def _write_array(member: IO[bytes], array: "np.ndarray") -> None:
    """As NumPy writes it; what is mapped from a file for reading is let go of as it is written, by pieces."""
    import numpy as np

    whole = np.asanyarray(array)
    mapping = whole.base
    plain = whole.flags.c_contiguous and not whole.flags.writeable
    if not plain or not isinstance(mapping, mmap.mmap) or not hasattr(mapping, "madvise"):
        np.lib.format.write_array(member, whole, allow_pickle=False)
        return
    np.lib.format.write_array_header_1_0(member, np.lib.format.header_data_from_array_1_0(whole))
    rows = max(1, _PIECE * len(whole) // max(1, whole.nbytes))
    for start in range(0, len(whole), rows):
        member.write(np.ascontiguousarray(whole[start : start + rows]).data)
        mapping.madvise(mmap.MADV_DONTNEED)


def _deflates(array: "np.ndarray") -> bool:
    """Whether compression is worth its time: the array is small, or a sample shrinks to less than half."""
    import numpy as np

    if array.nbytes < _LARGE or array.ndim == 0:
        return True
    rows = np.linspace(0, len(array) - 1, _SAMPLE).astype(int)
    pieces = [_middle(np.ascontiguousarray(array[row]).tobytes()) for row in np.unique(rows)]
    return sum(len(zlib.compress(piece, 1)) for piece in pieces) < sum(map(len, pieces)) / 2


def _middle(row: bytes) -> bytes:
    """The bytes of a row around its middle; at its ends an image may be black."""
    start = max(0, len(row) - _MIDDLE) // 2
    return row[start : start + _MIDDLE]
