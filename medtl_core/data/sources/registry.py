"""Data sets by name: what there is, where it lies, how it is got, whether it is whole.

A file is looked for in the folder of MEDTL_DATA, then in the user's cache, then at its publisher. Only
`fetch` downloads.
"""

import difflib
import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path

from medtl_core.data.archives.archive import Archive, read_archive, validate
from medtl_core.data.archives.checks import missing_key
from medtl_core.data.archives.medmnist_table import published_sets
from medtl_core.data.archives.volumes import VolumeArchive, read_volumes
from medtl_core.data.measurable import require_measurable
from medtl_core.data.phantoms.phantoms import SPECS, draw
from medtl_core.data.sources.checksum_list import LIST, listed_sha256
from medtl_core.data.sources.dataset_card import DatasetCard, file_card, phantom_card, published_card
from medtl_core.data.sources.download import download
from medtl_core.data.sources.locations import cache_folder, data_folder_in_words, file_digest, local_files
from medtl_core.errors import MedtlError
from medtl_core.inputs import used
from medtl_core.settings import PACKAGE

PHANTOM_SEED = 0


@dataclass(frozen=True)
class Verification:
    """Whether one data set is whole and can be measured; `text` says what was checked, or what is wrong."""

    name: str
    ok: bool
    text: str


def names() -> list[str]:
    """Names of all data sets: phantoms, then the archives on this machine, then what a publisher has."""
    return list(dict.fromkeys([*SPECS, *sorted(local_files()), *published_sets()]))


def local_names() -> list[str]:
    """Names of the data sets that need no download."""
    return list(dict.fromkeys([*SPECS, *sorted(local_files())]))


def local_cards() -> tuple[list[DatasetCard], dict[str, str]]:
    """Cards of the images that need no download, and by its name why any other data set cannot be used."""
    cards, unusable = [], {}
    for name in local_names():
        try:
            found = card(name)
            if found.volume is not None:
                raise missing_key(("volumes",), "images", str(found.path))
            cards.append(found)
        except MedtlError as error:
            unusable[name] = str(error)
    return cards, unusable


def card(name: str) -> DatasetCard:
    """Describe a data set; of a file only the headers and the class names are read.

    Raises:
        MedtlError: no data set of that name, or its file cannot be read.
    """
    path = locate(name)
    if name in SPECS:
        return phantom_card(name, SPECS[name])
    return published_card(published_sets()[name]) if path is None else file_card(name, path)


def locate(name: str) -> Path | None:
    """The file of a data set in MEDTL_DATA or the cache; None for phantoms and for what must be fetched.

    Raises:
        MedtlError: no data set of that name, or a file that has the name of a phantom.
    """
    path = local_files().get(name)
    if path is not None and name in SPECS:
        raise MedtlError(
            f"{path}: found an archive with the name of a phantom set, expected another name; rename it"
        )
    if path is None and name not in SPECS and name not in published_sets():
        close = difflib.get_close_matches(name, names(), n=1)
        hint = f"; did you mean '{close[0]}'?" if close else ""
        raise MedtlError(
            f"data set '{name}': found neither in {data_folder_in_words()} nor in the cache nor in the "
            f"registry, expected a name that `medtl data list` shows{hint}"
        )
    return path


def load(name: str) -> Archive:
    """The archive of that name, from MEDTL_DATA, else the cache; phantoms are drawn.

    Raises:
        MedtlError: unknown name, not fetched yet, a file that breaks a rule, a cached file that is not
            the publisher's any more.
    """
    used(checksum, name)
    path = locate(name)
    if name in SPECS:
        return draw(SPECS[name], seed=PHANTOM_SEED)
    if path is None:
        raise _absent(name)
    if path.parent == cache_folder():
        _require_published_md5(name, path)
    return read_archive(path)


def load_volumes(name: str) -> VolumeArchive:
    """The archive of volumes of that name, from MEDTL_DATA, else the cache.

    Raises:
        MedtlError: unknown name, no file, or a file that breaks a rule or holds images.
    """
    used(checksum, name)
    path = locate(name)
    if path is None:
        raise MedtlError(f"data set '{name}': found images, expected volumes; choose another data set")
    return read_volumes(path)


def fetch(name: str, progress: bool = True) -> Path:
    """Make sure that a data set lies in MEDTL_DATA or in the cache, downloading it if it does not.

    Returns:
        its file.

    Raises:
        MedtlError: unknown name, a phantom set (nothing to fetch), or the download failed.
    """
    if name in SPECS:
        raise MedtlError(
            f"data set '{name}': phantoms are drawn when they are needed, there is nothing to fetch"
        )
    path = locate(name)
    if path is not None and (path.parent != cache_folder() or name not in published_sets()):
        return path
    published = published_sets()[name]
    return download(published.url, cache_folder() / f"{name}.npz", published.md5, progress=progress)


def checksum(name: str) -> str:
    """SHA-256 in hexadecimal of what `load` would use: the file, or a phantom's spec and generator.

    Raises:
        MedtlError: unknown name or not fetched yet.
    """
    path = locate(name)
    if name in SPECS:
        digest = hashlib.sha256(repr((sorted(asdict(SPECS[name]).items()), PHANTOM_SEED)).encode())
        for source in sorted((PACKAGE / "data" / "phantoms").glob("*.py")):
            digest.update(source.read_bytes())
        return digest.hexdigest()
    if path is None:
        raise _absent(name)
    return file_digest(path, "sha256")


def verify(name: str | None = None) -> list[Verification]:
    """Check one data set, or all that need no download.

    Checked are the SHA-256 that a SHA256SUMS file beside the archive lists, the publisher's MD5, every
    rule of the archive, and that it can be measured (`require_measurable`: square images, no group in two
    published splits, each class in training, validation and test).

    Raises:
        MedtlError: no data set of that name, or not fetched yet.
    """
    if name is not None and locate(name) is None and name not in SPECS:
        raise _absent(name)
    return [_verification(each) for each in (local_names() if name is None else [name])]


def _verification(name: str) -> Verification:
    try:
        checked = _verify_checksums(name)
        if card(name).volume is not None:
            volumes = load_volumes(name)
            return Verification(name, True, ", ".join([f"{volumes.n} volumes", *checked]))
        archive = load(name)
        validate(archive, name)
        parts = require_measurable(
            archive, published=name not in SPECS
        )  # some phantoms are published with a leak
    except MedtlError as error:
        return Verification(name, False, str(error))
    sizes = "/".join(str(len(part)) for part in (parts.train, parts.val, parts.test))
    return Verification(name, True, ", ".join([f"{archive.n} images, split {sizes}", *checked]))


def _verify_checksums(name: str) -> list[str]:
    path = locate(name)
    if path is None:
        return ["drawn"]
    checked = []
    if name in published_sets():
        _require_published_md5(name, path)
        checked.append("the publisher's MD5")
    listed = listed_sha256(path)
    if listed is not None:
        found = file_digest(path, "sha256")
        if found != listed:
            raise MedtlError(f"{path}: checksum mismatch, found SHA-256 {found}, expected {listed} ({LIST})")
        checked.append(f"SHA-256 of {LIST}")
    return checked or ["no checksum to compare with"]


def _absent(name: str) -> MedtlError:
    if published_sets()[name].multi_label:
        return MedtlError(
            f"data set '{name}': found a multi-label set, expected one label per image; not supported"
        )
    return MedtlError(
        f"data set '{name}': found neither in {data_folder_in_words()} nor in the cache ({cache_folder()}), "
        f"expected its file; get it with `medtl data fetch {name}`"
    )


def _require_published_md5(name: str, path: Path) -> None:
    published = published_sets().get(name)
    if published is not None and (found := file_digest(path, "md5")) != published.md5:
        cached = path.parent == cache_folder()
        remedy = f"get it again with `medtl data fetch {name}`" if cached else "rename or replace the file"
        raise MedtlError(
            f"{path}: checksum mismatch, found MD5 {found}, expected {published.md5} of the publisher's "
            f"{name}; {remedy}"
        )
