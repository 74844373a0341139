"""Archives of a publisher, unpacked so that nothing leaves the folder, fills the disk or stays half done."""

import lzma
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Generator
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import IO

from medtl_core.data.sources.locations import file_digest
from medtl_core.errors import MedtlError
from medtl_core.files import PART, one_line

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
LARGEST = 200 * 10**9  # bytes of all files together
MOST = 2_000_000  # files and folders
RATIO = 200  # unpacked bytes for a packed one; deflate reaches 1032, photographs and X-rays stay below 10
_ALLOWANCE = 10**8  # bytes that are unpacked whatever the ratio
_CHUNK = 1 << 20
_UNREADABLE = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, NotImplementedError,
    RuntimeError, ValueError,
)  # fmt: skip

# Name in the archive, whether it is a folder, and its content as a file.
Member = tuple[str, bool, IO[bytes] | None]


def is_packed(path: Path) -> bool:
    """Whether a file is an archive that can be unpacked, by its name."""
    return path.name.lower().endswith(SUFFIXES)


def unpack(
    packed: Path,
    folder: Path,
    checksum: str = "",
    *,
    nested: bool = False,
    strip: bool = False,
    largest: int = LARGEST,
    ratio: int = RATIO,
) -> int:
    """Unpack a .zip or .tar file into a folder, which is new or empty; the number of files.

    Everything is written beside `folder` and takes its name at the end: it appears whole or not at all. Sizes
    are counted as bytes come; what the archive says of them is not believed.

    Args:
        checksum: `md5:HEX` or `sha256:HEX`, compared before anything is unpacked; "" compares nothing.
        nested: archives inside are unpacked too, each where it lies, and removed.
        strip: where all lies in one folder, hidden files aside, `folder` becomes that folder.
        largest: bytes of all files together.
        ratio: unpacked bytes for a packed one, counted from 100 MB on.

    Raises:
        MedtlError: no such file, another checksum, a folder that is not empty, a damaged archive, one with a
            password, a path that leaves the folder, a link, a device, two names that are one, more bytes than
            allowed or than the disk has free. Nothing is left behind then.
    """
    _require_checksum(packed, checksum)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise MedtlError(f"{folder}: found files in it, expected a new folder; choose another or empty it")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=PART) as name:
            scratch = Path(name, folder.name)
            scratch.mkdir()
            budget = _Budget(largest, ratio, scratch)
            count = _unpack_into(packed, scratch, budget)
            if nested:
                count += _unpack_nested(scratch, budget)
            if folder.exists():
                folder.rmdir()
            (_only_folder(scratch) if strip else scratch).replace(folder)
    except OSError as error:
        raise MedtlError(
            f"{folder}: cannot be unpacked ({one_line(error)}); free space or choose another folder"
        ) from error
    return count


class _Budget:
    """How many bytes and files may still come."""

    def __init__(self, largest: int, ratio: int, place: Path) -> None:
        self.largest, self.ratio, self.place = largest, ratio, place
        self.written = self.files = self.packed = 0

    def add(self, count: int, where: str) -> None:
        self.written += count
        allowed = min(self.largest, _ALLOWANCE + self.ratio * self.packed)
        if self.written > allowed:
            raise MedtlError(
                f"{where}: found more than {allowed / 1e6:.0f} MB unpacked from {self.packed / 1e6:.1f} MB, "
                "expected images; it may be made to fill the disk, look at it before you unpack it by hand"
            )
        if count > (free := shutil.disk_usage(self.place).free):
            raise OSError(f"{free / 1e6:.0f} MB free on the disk")

    def add_file(self, where: str) -> None:
        self.files += 1
        if self.files > MOST:
            raise MedtlError(f"{where}: found more than {MOST} files, expected images; look at it by hand")


def _require_checksum(packed: Path, checksum: str) -> None:
    if not packed.is_file():
        raise MedtlError(f"{packed}: no such file, expected an archive; check the path")
    if not checksum:
        return
    algorithm, _, expected = checksum.partition(":")
    if (found := file_digest(packed, algorithm)) != expected:
        raise MedtlError(
            f"{packed}: found {algorithm} {found}, expected {expected}; nothing was unpacked, get it again"
        )


def _unpack_into(packed: Path, folder: Path, budget: _Budget) -> int:
    budget.packed += packed.stat().st_size
    seen: set[str] = set()
    try:
        with closing(_members(packed)) as members:
            for name, is_folder, content in members:
                target = _inside(folder, name, packed)
                budget.add_file(packed.name)
                if is_folder:
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                if str(target).casefold() in seen:
                    raise MedtlError(
                        f"{packed}: found '{name}' twice, case aside, expected one; unpack it by hand"
                    )
                seen.add(str(target).casefold())
                target.parent.mkdir(parents=True, exist_ok=True)
                assert content is not None
                with target.open("xb") as file:
                    while chunk := content.read(_CHUNK):
                        budget.add(len(chunk), f"{packed}: '{name}'")
                        file.write(chunk)
    except _UNREADABLE as error:
        raise MedtlError(
            f"{packed}: found an archive that cannot be read ({one_line(error)}), expected a whole one "
            "without a password; get it again"
        ) from error
    return len(seen)


def _unpack_nested(folder: Path, budget: _Budget) -> int:
    """One level: what lies in an archive inside an archive is not unpacked again."""
    count = 0
    for packed in sorted(path for path in folder.rglob("*") if path.is_file() and is_packed(path)):
        count += _unpack_into(packed, packed.parent, budget) - 1
        packed.unlink()
    return count


def _only_folder(folder: Path) -> Path:
    shown = [path for path in folder.iterdir() if not path.name.startswith((".", "__MACOSX"))]
    return shown[0] if len(shown) == 1 and shown[0].is_dir() else folder


def _inside(folder: Path, name: str, packed: Path) -> Path:
    """The place of a member; what is refused would lie elsewhere, or have another name, on some system."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in name or not name.isprintable():
        raise MedtlError(
            f"{packed}: found the path {name!r}, expected one that stays within the folder; nothing was kept"
        )
    return folder / path


def _members(packed: Path) -> Generator[Member, None, None]:
    if zipfile.is_zipfile(packed):
        return _zip_members(packed)
    return _tar_members(packed)


def _zip_members(packed: Path) -> Generator[Member, None, None]:
    with zipfile.ZipFile(packed) as bundle:
        for info in bundle.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _link(packed, info.filename)
            if info.is_dir():
                yield info.filename, True, None
            else:
                with bundle.open(info) as content:
                    yield info.filename, False, content


def _tar_members(packed: Path) -> Generator[Member, None, None]:
    with tarfile.open(packed) as bundle:
        for info in bundle:
            if not (info.isreg() or info.isdir()):
                raise _link(packed, info.name)
            yield info.name, info.isdir(), None if info.isdir() else bundle.extractfile(info)
        # The checksum of a compressed stream stands at its end, which tarfile does not read.
        while bundle.fileobj is not None and bundle.fileobj.read(_CHUNK):
            pass


def _link(packed: Path, name: str) -> MedtlError:
    return MedtlError(
        f"{packed}: found {name!r}, a link or device, expected files and folders; nothing was kept"
    )
