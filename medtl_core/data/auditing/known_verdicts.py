"""Verdicts on data sets by name, each reached once: they are kept by the archive's content."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from medtl_core.data.auditing.report import quick_verdict
from medtl_core.data.auditing.verdicts import Verdict
from medtl_core.data.sources.registry import checksum, load
from medtl_core.files import read_json, write_json
from medtl_core.source_hash import package_hash


def known_verdict(name: str, folder: Path, begun: Callable[[str], None]) -> Verdict:
    """`quick_verdict` on the data set of that name, from `folder` where it was reached before.

    It is known by the data set's checksum and by the source of the room `data`, whose code judges.

    Args:
        folder: of the verdicts that are kept, one JSON file each; it need not exist yet.
        begun: told the name before the images are read and judged.

    Raises:
        MedtlError: the data set cannot be loaded, or the folder not be written to.
    """
    key = hashlib.sha256(f"{checksum(name)} {package_hash(['data'])}".encode()).hexdigest()
    path = folder / f"{key}.json"
    if not path.is_file():
        begun(name)
        found = quick_verdict(load(name))
        write_json(path, {"word": found.word, "reasons": list(found.reasons)})
    return read_json(path, _verdict, expected="a verdict", remedy="delete it and run again")


def _verdict(content: Any) -> Verdict:
    return Verdict(str(content["word"]), tuple(map(str, content["reasons"])))
