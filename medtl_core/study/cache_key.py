"""The key of a trial: a hash of everything that decides its result.

A key changes with the trial's source, with what it uses from its notebook or script, with the package's
source, the arguments, the data and the kind of device; not with comments, docstrings or layout.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from medtl_core.source_hash import PACKAGE, package_hash

# What measures. Judging (evidence), running and the command line cannot change a measurement.
ROOMS = ("data", "evaluation", "backbones", "study", "training", "transfer", "truncation")
METHOD_ROOMS = ("augmentation", "gans", "adaptation", "segmentation", "explanation")

# At import: what runs is the code that was imported, even if files change under a long-lived kernel.
_PACKAGE_HASH = package_hash([*ROOMS, *(room for room in METHOD_ROOMS if (PACKAGE / room).is_dir())])


def trial_key(
    source: str,
    *,
    study: str,
    arm: str,
    seed: int,
    factors: Mapping[str, Any],
    dataset: str,
    data_checksum: str,
    device: str,
) -> str:
    """Key of one trial, 32 hexadecimal digits.

    `source` is the `fingerprint` of the trial's function; the package's source is added here. `factors` maps
    names to text, numbers or booleans, in any order; `device` is the kind of device (cpu or cuda).
    """
    parts = {
        "package": _PACKAGE_HASH,
        "source": source,
        "study": study,
        "arm": arm,
        "seed": seed,
        "factors": dict(factors),
        "dataset": dataset,
        "data": data_checksum,
        "device": device,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]
