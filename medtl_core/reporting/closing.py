"""What a run ends with: identities, planted effects, and what the reference run found on patients' images."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from medtl_core.evidence.conjunction import needed
from medtl_core.evidence.ledger import Ledger, build_ledger
from medtl_core.evidence.reference_run import read_kept
from medtl_core.evidence.register import load_register, register_file
from medtl_core.evidence.rule_verdict import RuleVerdict
from medtl_core.evidence.rules.estimate import Estimate
from medtl_core.evidence.rules.kinds import kind_of
from medtl_core.evidence.verdict import EntryVerdict
from medtl_core.evidence.words import UNMEASURED
from medtl_core.reporting.reference import reference_folder

TOLD = ("contradicted", "mixed", "supported", "partly supported", "not supported")
"""Words that are worth a sentence at the end of a run, most telling first."""


@dataclass
class Count:
    """How many of some checks held, and the names of those that did not."""

    held: int = 0
    failed: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """All that were checked."""
        return self.held + len(self.failed)

    def add(self, name: str, held: bool) -> None:
        """Count one check."""
        if held:
            self.held += 1
        else:
            self.failed.append(name)


def identities(ledger: Ledger) -> Count:
    """The identities, counts and bounds that a run's records hold, on whatever data: met or broken."""
    count = Count()
    for name, result in _rules(ledger):
        if not kind_of(result.rule).tests:
            for estimate in _estimates(result):
                if estimate.met is not None:
                    count.add(f"{name} on {estimate.dataset}", estimate.met)
    return count


def planted_effects(ledger: Ledger) -> Count:
    """The effects that made-up data hold by construction: does the mean over seeds show what is stated?

    Only rules for which made-up data are evidence count, and of these only the ones whose effect was put into
    the data (`planted`), since only their truth is known.
    """
    count = Count()
    for name, result in _rules(ledger):
        kind = kind_of(result.rule)
        if not kind.tests or not result.rule.planted:
            continue
        shown: dict[str, list[bool]] = {}
        for dataset in result.datasets.values():
            for judged in dataset.strata:
                estimate = judged.estimate
                if dataset.eligible and estimate.synthetic and estimate.interval is not None:
                    held = kind.shows(result.rule, estimate.interval.estimate)
                    shown.setdefault(estimate.dataset, []).append(held)
        for place, held_at in shown.items():
            how = result.rule.combine
            # A rule that asks for one stratum, or for most of them, plants one effect and not one in each.
            for held in held_at if how == "all" else [sum(held_at) >= needed(len(held_at), how)]:
                count.add(f"{name} on {place}", held)
    return count


def reference_ledger() -> Ledger | None:
    """The ledger of the project's reference run, judged once for the same files; None where none is kept."""
    folder = reference_folder()
    if folder is None:
        return None
    rests_on = [register_file(), *sorted(path for path in folder.rglob("*") if path.is_file())]
    return _judged(folder, tuple((path, path.stat().st_mtime_ns) for path in rests_on))


@lru_cache(maxsize=1)
def _judged(folder: Path, rests_on: tuple[tuple[Path, int], ...]) -> Ledger:
    return build_ledger(load_register(), read_kept(folder))


def reference_name() -> Path | None:
    """Folder of the reference run, from the project's; None where none is kept."""
    folder = reference_folder()
    return None if folder is None else Path("results") / folder.name


def words_by_evidence(ledger: Ledger) -> tuple[Counter[str], Counter[str]]:
    """How often each word stands in a ledger: where patients' images decide, and where made-up ones do.

    Only words of what was measured are counted.
    """
    patients: Counter[str] = Counter()
    made_up: Counter[str] = Counter()
    for verdict in ledger.verdicts:
        if verdict.verdict not in UNMEASURED:
            (made_up if _rests_on_made_up(verdict) else patients)[verdict.verdict] += 1
    return patients, made_up


def _rests_on_made_up(verdict: EntryVerdict) -> bool:
    primary = [result for result in verdict.rules if result.rule.reading != "strong"]
    places = [place for result in primary for place in result.datasets.values() if place.decides]
    return bool(places) and all(judged.estimate.synthetic for place in places for judged in place.strata)


def told(ledger: Ledger, count: int = 5) -> list[dict[str, str]]:
    """The entries whose sentences say most, as rows with id, verdict, statement and sentence.

    Statements of the survey itself come first, then those that patients' images decide, then those with the
    more telling word, one a notebook at a time.
    """
    own = [re.compile(group.pattern) for group in ledger.head.ids if group.quoted]
    made_up = {v.claim.id for v in ledger.verdicts if _rests_on_made_up(v)}

    def rank(row: dict[str, Any]) -> tuple[bool, bool]:
        inherited = not any(pattern.fullmatch(row["id"]) for pattern in own)
        return inherited, row["id"] in made_up

    rows = [row for row in ledger.rows() if row["verdict"] in TOLD and row["sentence"]]
    rows.sort(key=lambda row: (rank(row), TOLD.index(row["verdict"])))
    seen: Counter[str] = Counter()
    rounds = []
    for row in rows:
        rounds.append((rank(row), seen[row["notebook"]]))
        seen[row["notebook"]] += 1
    order = sorted(range(len(rows)), key=rounds.__getitem__)
    columns = ("id", "verdict", "statement", "sentence")
    return [{key: rows[i][key] for key in columns} for i in order[:count]]


def _rules(ledger: Ledger) -> Iterator[tuple[str, RuleVerdict]]:
    for verdict in ledger.verdicts:
        for result in verdict.rules:
            if result.rule.reading != "strong":
                yield f"{verdict.claim.id} ({result.rule.hypothesis})", result


def _estimates(result: RuleVerdict) -> Iterable[Estimate]:
    return (judged.estimate for dataset in result.datasets.values() for judged in dataset.strata)
