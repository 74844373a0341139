"""Where archives lie on this machine: the folder of MEDTL_DATA, then the user's cache."""

import hashlib
from pathlib import Path

from medtl_core import settings
from medtl_core.errors import MedtlError
from medtl_core.settings import data_folder


def cache_folder() -> Path:
    """The folder of downloaded archives; MEDTL_CACHE moves it. It need not exist yet."""
    return settings.cache_folder() / "archives"


def local_files() -> dict[str, Path]:
    """Every archive on this machine by its name, the file's stem; MEDTL_DATA comes before the cache."""
    files: dict[str, Path] = {}
    for folder in (cache_folder(), data_folder()):  # the later one wins
        if folder is not None and folder.is_dir():
            files |= {
                path.stem: path
                for path in sorted(folder.iterdir())
                if path.suffix.lower() == ".npz" and not path.name.startswith(".")
            }
    return files


def data_folder_in_words() -> str:
    """The folder of MEDTL_DATA for use in a message."""
    folder = data_folder()
    return "MEDTL_DATA (not set)" if folder is None else f"MEDTL_DATA ({folder})"


def file_digest(path: Path, algorithm: str) -> str:
    """Digest of a file in hexadecimal.

    Raises:
        MedtlError: the file cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, algorithm).hexdigest()
    except OSError as error:
        raise MedtlError(f"{path}: cannot read ({error.strerror}), expected an .npz archive") from error
