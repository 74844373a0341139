"""What the audit said of the data sets that a run used, as one short line each."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

NOT_AUDITED = "not audited"
_WEIGHTS = ".safetensors"  # `data` of a run holds the checksums of weights files too


@dataclass(frozen=True)
class AuditedSet:
    """A data set, the checksum of its content, and its verdict: `clean`, `leaky (why)`, `not audited` …"""

    name: str
    checksum: str
    verdict: str

    @property
    def line(self) -> str:
        """The data set and its verdict."""
        return f"{self.name}: {self.verdict}"


def audited_sets(runs: Iterable[Mapping[str, Any]]) -> list[AuditedSet]:
    """Each data set of some runs once, sorted by name; of several verdicts on one content the last counts.

    `runs` are rows of `run_summaries`. Rows that older versions wrote have no verdicts: not audited.
    """
    found: dict[tuple[str, str], str] = {}
    for run in runs:
        verdicts = run.get("audits", {})
        for name, checksum in run["data"].items():
            if name in verdicts:
                found[name, checksum] = _in_words(verdicts[name])
            elif not name.endswith(_WEIGHTS):
                found.setdefault((name, checksum), NOT_AUDITED)
    return [AuditedSet(*key, verdict) for key, verdict in sorted(found.items())]


def audit_lines(runs: Iterable[Mapping[str, Any]]) -> list[str]:
    """A line for each verdict on a data set, and one for all data sets that were not audited."""
    sets = audited_sets(runs)
    lines = [each.line for each in sets if each.verdict != NOT_AUDITED]
    unknown = dict.fromkeys(each.name for each in sets if each.verdict == NOT_AUDITED)
    return [*dict.fromkeys(lines), *([f"{NOT_AUDITED}: {', '.join(unknown)}"] if unknown else [])]


def _in_words(verdict: Mapping[str, str]) -> str:
    why = verdict.get("why", "")
    return f"{verdict['word']} ({why})" if why else verdict["word"]
