"""Writing a file so that a reader sees the old one or the new one, never a half."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from medtl_core.errors import MedtlError


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Let `write` fill a file beside `path` and rename it; MedtlError where the folder cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".part-")
        try:
            with os.fdopen(handle, "wb") as file:
                write(file)
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise MedtlError(
            f"{path}: cannot be written ({error.strerror or error}); free space or choose another folder"
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically; MedtlError where the folder cannot be written."""
    write_atomically(path, lambda f: f.write(text.encode()))
