"""Which code ran: the commit of the checkout that the package lies in, and a hash of the package itself."""

import os
import subprocess
from pathlib import Path
from typing import Any

from medtl_core.settings import PACKAGE
from medtl_core.source_hash import package_hash

SECONDS_TO_ANSWER = 20
TRACKED = ("medtl_core", "notebooks", "studies")


def provenance(package: Path = PACKAGE) -> dict[str, Any]:
    """`commit` (hex), `dirty` and `package` (SHA-256 of the normalised source).

    `dirty`: whether the package, the notebooks or the studies differ from the commit. Both are None where
    there is no git, or where the package is not part of a checkout (it was installed).
    """
    commit = _git(package, "rev-parse", "HEAD")
    if commit is None or _git(package, "ls-files", "--error-unmatch", "__init__.py") is None:
        return {"commit": None, "dirty": None, "package": package_hash(root=package)}
    paths = [str(package.parent / name) for name in TRACKED]
    changes = _git(package, "status", "--porcelain", "--", *paths)
    return {
        "commit": commit,
        "dirty": None if changes is None else bool(changes),
        "package": package_hash(root=package),
    }


def _git(folder: Path, *arguments: str) -> str | None:
    """What git prints, None if it is not there, fails or takes too long."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        answer = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=SECONDS_TO_ANSWER,
            env=own | {"GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
