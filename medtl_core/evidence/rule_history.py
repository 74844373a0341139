"""Was a rule changed after the records that it judges were taken?"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medtl_core.evidence.record import Record
from medtl_core.evidence.register import Claim
from medtl_core.files import read_json, write_text

FILE = "rules_at_run.json"
EVERYTHING = "*"
"""Stands for all that a study measured, in files of medtl 0.1.0, which noted trials instead."""


def changed_rules(
    claims: Sequence[Claim], records: Mapping[str, Sequence[Record]], root: Path, *, write: bool
) -> set[str]:
    """Ids of the entries with a rule that was changed or added after its study was first judged here.

    `rules_at_run.json` holds, for each study, what was measured (data set, arm and seed: measured again they
    are no new evidence) and the rules in force at that moment. A study of which nothing was there before is a
    new measurement and adopts the current rules. With `write` the file is kept up to date.
    """
    known = _read(root / FILE)
    state, changed = dict(known), set()
    for study, measured in _measured(records).items():
        now = {name: claim for claim in claims for name in _rule_names(claim, study)}
        before = known.get(study)
        if before is not None and (measured | {EVERYTHING}) & set(before["measured"]):
            changed |= {claim.id for name, claim in now.items() if name not in before["rules"]}
            state[study] = {
                "measured": sorted(measured | set(before["measured"])),
                "rules": before["rules"],
            }
        else:
            state[study] = {"measured": sorted(measured), "rules": sorted(now)}
    if write and state != known:
        write_text(root / FILE, json.dumps(state, indent=1, sort_keys=True) + "\n")
    return changed


def _measured(records: Mapping[str, Sequence[Record]]) -> dict[str, set[str]]:
    measured: dict[str, set[str]] = {}
    for found in records.values():
        for record in found:
            place = f"{record.dataset} {record.arm} {record.seed}"
            measured.setdefault(f"{record.notebook}/{record.study}", set()).add(place)
    return measured


def _rule_names(claim: Claim, study: str) -> list[str]:
    rules = [rule for rule in claim.rules if f"{claim.notebook}/{rule.study}" == study]
    return [f"{claim.id} {rule.reading} {rule.version}" for rule in rules]


def _read(path: Path) -> dict[str, dict[str, Any]]:
    if not path.is_file():
        return {}
    return read_json(
        path,
        _parsed,
        expected="rules and measurements by study",
        remedy="delete it to start a new history",
    )


def _parsed(state: Any) -> dict[str, dict[str, Any]]:
    return {
        study: {"measured": list(row.get("measured", [EVERYTHING])), "rules": list(row["rules"])}
        for study, row in state.items()
    }
