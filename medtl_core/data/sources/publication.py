"""Where a published data set comes from: fetched and unpacked where its publisher allows it, or told."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from medtl_core import settings
from medtl_core.data.sources.download import download
from medtl_core.data.sources.unpacking import unpack
from medtl_core.errors import MedtlError


@dataclass(frozen=True)
class Publication:
    """Where one data set is published.

    Attributes:
        name: how its downloads are called in the cache.
        page: address of the publisher's page.
        expected: what the folder must hold, as the publisher names it.
        url: address of its archive; "" where the publisher asks for a login or a form.
        suffix: of that archive.
        md5: of that archive in hexadecimal, "" where none is known.
        nested: whether there are archives in the archive.
    """

    name: str
    page: str
    expected: str
    url: str = ""
    suffix: str = ".zip"
    md5: str = ""
    nested: bool = False

    @property
    def remedy(self) -> str:
        """What to do to have the folder."""
        by_hand = f"get it from {self.page}, unpack it and name the folder that holds {self.expected}"
        return f"--download fetches it, or {by_hand}" if self.url else by_hand


def packed_path(publication: Publication) -> Path:
    """Where the downloaded archive lies, in the folder of downloads (MEDTL_CACHE moves it)."""
    return settings.cache_folder() / "published" / f"{publication.name}{publication.suffix}"


def fetch(publication: Publication, folder: Path) -> Iterator[str]:
    """Download and unpack into a new or empty folder; sentences on what was done, as it is done.

    An interrupted download goes on with the next call; the archive is kept in the cache.

    Raises:
        MedtlError: the publisher offers no download without a login, or as `download` and `unpack`.
    """
    if not publication.url:
        raise MedtlError(
            f"--download: found no address that is open without a login or form; {publication.remedy}"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise MedtlError(f"--download: found files in {folder}, expected a new folder; leave --download out")
    packed = packed_path(publication)
    download(publication.url, packed, publication.md5)
    yield f"downloaded: {publication.url} to {packed}"
    checksum = f"md5:{publication.md5}" if publication.md5 else ""
    yield f"checksum: {checksum}, as expected" if checksum else "checksum: not checked, as none is known"
    count = unpack(packed, folder, checksum, nested=publication.nested, strip=True)
    yield f"unpacked: {count} files into {folder}"
