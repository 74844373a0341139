"""The audit as a data card in Markdown, for a README or a repository of data."""

from collections.abc import Iterable
from typing import Any

from medtl_core.data.auditing.report import AuditReport


def markdown(report: AuditReport) -> str:
    """Verdict, facts, counts of each class, findings and what was measured, as one page."""
    d = report.description
    sets, torn = report.identical_sets
    facts = [
        ("from", d["location"]),
        ("images", f"{d['images']}, {' x '.join(map(str, d['size']))} px, {d['channels']} channels"),
        ("grey values", "{} to {} of 0 to 255".format(*d["grey_range"])),
        ("groups", f"{d['groups']['number']}" if d["groups"] else "none"),
        ("sets of identical images", f"{sets}, of which {torn} stand in two groups"),
        ("pairs of near duplicates", f"{report.near_pairs}"),
        ("licence", d["licence"]),
        ("citation", d["citation"]),
        ("checksum", f"SHA-256 `{d['checksum']}`"),
    ]
    lines = [
        f"# {_plain(d['name'])}: {_plain(d['title'])}",
        "",
        f"Verdict of the audit: **{report.verdict.word}**",
    ]
    lines += ["", *(f"- {_plain(reason)}" for reason in report.verdict.reasons)]
    lines += ["", *_table(("", ""), facts), "", "## Images of each class", "", *_counts(d)]
    found = [f"- {_plain(finding.text)}" for finding in report.findings]
    lines += ["", "## Findings", "", *(found or ["None."])]
    if report.measurements:
        rows = [
            (each.question, f"{each.skill.auroc:.3f} ± {each.skill.error:.3f}", each.skill.n)
            for each in report.measurements
        ]
        lines += ["", "## What gives something away (AUROC of a linear probe, standard error)", ""]
        lines += _table(("what from what", "AUROC", "images"), rows)
    return "\n".join(lines) + "\n"


def _counts(d: dict[str, Any]) -> list[str]:
    columns = {"all": d["classes"], **d["classes_by_split"]}
    columns |= {f"domain {name}": counts for name, counts in d["domains"].items()}
    rows = [(name, *(counts[name] for counts in columns.values())) for name in d["classes"]]
    return _table(("class", *columns), rows) if rows else ["None: there are no labels."]


def _table(head: Iterable[str], rows: Iterable[Iterable[str | int]]) -> list[str]:
    head = [_plain(cell) for cell in head]
    lines = [head, ["---"] * len(head), *([_plain(str(cell)) for cell in row] for row in rows)]
    return [f"| {' | '.join(line)} |" for line in lines]


def _plain(text: str) -> str:
    """Text that Markdown shows as it is: what comes from a file is no markup."""
    for letter in "\\|<>[]*_":
        text = text.replace(letter, f"\\{letter}")
    return text
