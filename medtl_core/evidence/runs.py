"""What is known of the runs in a folder: status, time and memory against budget, parameters, data."""

import getpass
import platform
import re
from pathlib import Path
from typing import Any

from medtl_core.evidence.run_state import read_state, state_labels
from medtl_core.files import read_json

FILE = "runs.json"
ENVIRONMENT = "environment.json"
MIB = 2**20
_PATH = re.compile(r"(^|[\s'\"=:(])(/[^\s/]+|~/|[A-Za-z]:\\)")


def run_summaries(folder: Path) -> list[dict[str, Any]]:
    """One row per run of a notebook, from `state/*.json` of a run's folder or `runs.json` of a kept one.

    Fields: label, notebook, profile, device, status, seconds, peak_mib, budget_seconds, budget_mib,
    over_budget (of `time`, `memory`), parameters, data (name: checksum), audits (name: word and why; rows of
    older versions lack it), commit, dirty, package, error (one line). MedtlError for a malformed file.
    """
    if (folder / FILE).is_file():
        return read_json(
            folder / FILE, _rows, expected="a list of runs", remedy="keep the run again: medtl keep"
        )
    return [_summary(folder, label) for label in state_labels(folder)]


def environment(folder: Path) -> dict[str, Any]:
    """The environment that a run noted (`environment.json`); empty where it noted none."""
    path = folder / ENVIRONMENT
    if not path.is_file():
        return {}
    return read_json(path, _mapping, expected="the environment of a run", remedy="delete it and run again")


def _rows(found: Any) -> list[dict[str, Any]]:
    if not isinstance(found, list):
        raise TypeError(f"{type(found).__name__} instead of a list")
    return [_mapping(row) for row in found]


def _mapping(found: Any) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise TypeError(f"{type(found).__name__} instead of a mapping")
    return found


def _summary(folder: Path, label: str) -> dict[str, Any]:
    state = read_state(folder, label)
    budget, error, peak = state.budget, state.error, state.peak_memory
    return {
        "label": label,
        "notebook": state.notebook,
        "profile": state.profile,
        "device": state.device,
        "status": state.status,
        "seconds": state.seconds,
        "peak_mib": round(peak / MIB) if peak else None,
        "budget_seconds": 60 * budget["minutes"] if "minutes" in budget else None,
        "budget_mib": 1024 * budget["memory_gib"] if "memory_gib" in budget else None,
        "over_budget": state.over_budget,
        "parameters": state.parameters,
        "data": state.data,
        "audits": state.audits,
        "commit": state.commit,
        "dirty": state.dirty,
        "package": state.package,
        "error": f"{error['name']}: {error['message']}" if error else None,
    }


def without_machine(value: Any) -> Any:
    """A copy without anything that names a folder, the user or the host of this machine."""
    if isinstance(value, dict):
        kept = {name: without_machine(inner) for name, inner in value.items()}
        return {name: inner for name, inner in kept.items() if inner is not None or value[name] is None}
    if isinstance(value, list):
        return [inner for inner in map(without_machine, value) if inner is not None]
    return None if isinstance(value, str) and _names_machine(value) else value


def _names_machine(text: str) -> bool:
    names = {name for name in (_user(), platform.node()) if name}
    return bool(_PATH.search(text)) or any(re.search(rf"\b{re.escape(name)}\b", text) for name in names)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return ""
