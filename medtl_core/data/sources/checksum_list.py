"""A SHA256SUMS file: what the checksum of a file beside it should be."""

import re
from pathlib import Path, PurePath

from medtl_core.errors import MedtlError
from medtl_core.files import read_text

LIST = "SHA256SUMS"
_LINE = re.compile(
    r"(?P<digest>[0-9a-fA-F]{64})\s+(?P<name>\S.*)|SHA256 \((?P<of>.+)\) = (?P<tagged>[0-9a-fA-F]{64})"
)


def listed_sha256(path: Path) -> str | None:
    """The SHA-256 (hex) that the list beside a file names for it; None without a list, or where it has none.

    Raises:
        MedtlError: a list that is no UTF-8 text, or a line that is none of `sha256sum` or `shasum --tag`.
    """
    sums = path.with_name(LIST)
    if not sums.is_file():
        return None
    remedy = "write it again with `sha256sum *.npz > SHA256SUMS`"
    text = read_text(sums, expected="UTF-8 text", remedy=remedy).removeprefix("\ufeff")
    listed = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.startswith("#"):
            row = _LINE.fullmatch(line.strip())
            if row is None:
                raise MedtlError(
                    f"{sums}: line {number}: found {line.strip()[:60]!r}, expected a SHA-256 and "
                    f"the name of a file; {remedy}"
                )
            # `sha256sum DIGEST  folder/name` and `shasum --tag` alike; a star marks binary mode.
            digest, name = row["digest"] or row["tagged"], row["name"] or row["of"]
            listed[PurePath(name.lstrip("*")).name] = digest.lower()
    return listed.get(path.name)
