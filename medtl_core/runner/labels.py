"""Labels of runs: names of files in the run directory, one to one with what the runs use."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

LONGEST = 80  # characters of a name in a label; a file's name takes 255 bytes in most systems


def run_label(notebook: str, parameters: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    """NOTEBOOK, NOTEBOOK@DATASET or NOTEBOOK@DATASET@DOMAIN, as far as these differ from the defaults.

    Two runs of one notebook on other data sets or domains never have the same label, whatever characters
    these names hold: a character that cannot stand in a file's name or a URL is percent-encoded.
    """
    parts = [notebook]
    dataset, domain = parameters.get("dataset", ""), parameters.get("domain", "")
    own_domain = domain != defaults.get("domain", "")
    if dataset != defaults.get("dataset", "") or own_domain:
        parts.append(dataset)
    if own_domain:
        parts.append(domain)
    return "@".join(_encoded(str(part)) for part in parts)


def distinct_labels(labels: list[str], parameters: list[Mapping[str, Any]]) -> list[str]:
    """`labels`; those of runs that differ in other parameters alone are followed by + and their hash."""
    return [
        label if labels.count(label) == 1 else f"{label}+{_hash(json.dumps(values, sort_keys=True))}"
        for label, values in zip(labels, map(dict, parameters), strict=True)
    ]


def _encoded(name: str) -> str:
    encoded = quote(name, safe="")
    return encoded if len(encoded) <= LONGEST else f"{encoded[: LONGEST - 9]}={_hash(name)}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
