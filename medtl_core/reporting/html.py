"""The report of a run: one static HTML page that works from a file."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from medtl_core.evidence.audits import audited_sets
from medtl_core.evidence.ledger import Ledger
from medtl_core.evidence.runs import environment, run_summaries
from medtl_core.evidence.words import WORDS
from medtl_core.files import write_text
from medtl_core.reporting.forest import COLOURS, forest_svg

FILE = "report.html"
TEMPLATE = "report.html.j2"
BADGES = {
    "supported": ("✔", COLOURS["supported"]),
    "partly supported": ("◐", COLOURS["partly supported"]),
    "mixed": ("⇄", COLOURS["mixed"]),
    "not supported": ("○", COLOURS["not supported"]),
    "contradicted": ("✖", COLOURS["contradicted"]),
    "inconclusive": ("?", COLOURS["inconclusive"]),
    "demonstrated": ("▷", "#009E73"),
    "literature only": ("§", "#8C6D31"),
    "not testable here": ("–", "#999999"),
    "pending": ("…", "#BBBBBB"),
}


def write_report(run: str | Path, ledger: Ledger, reference: Ledger | None = None) -> Path:
    """Write `report.html` into a run's folder and return its path; `reference` is set beside this run.

    The page holds everything it shows and loads nothing; it links to the executed notebooks beside it. Raises
    MedtlError for malformed state files and where the folder cannot be written.
    """
    run = Path(run)
    write_text(run / FILE, report_html(run, ledger, reference))
    return run / FILE


def report_html(run: Path, ledger: Ledger, reference: Ledger | None = None) -> str:
    """The report as text; arguments and errors as `write_report`."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    runs = [summary | {"links": _links(run, summary["label"])} for summary in run_summaries(run)]
    kept = {row["id"]: row for row in reference.rows()} if reference else {}
    rows = [
        row
        | {
            "reference": kept.get(row["id"]),
            "links": [link for r in runs if r["notebook"] == row["notebook"] for link in r["links"]],
            "plot": Markup(_plot(row)),
            "checks": _checks(row),
        }
        for row in ledger.rows()
    ]
    counts = ledger.counts()
    verdicts = {(each.name, each.checksum): each.verdict for each in audited_sets(runs)}
    inputs = sorted({(name, checksum) for r in runs for name, checksum in r["data"].items()})
    data = [(name, verdicts.get((name, checksum), "–"), checksum) for name, checksum in inputs]
    jinja = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = jinja.from_string(files("medtl_core.reporting").joinpath(TEMPLATE).read_text(encoding="utf-8"))
    return template.render(
        name=run.resolve().name,
        head=ledger.head,
        real=[p.name for p in ledger.head.populations.values() if not p.synthetic_is_evidence],
        badges=BADGES,
        counts=[(word, counts[word]) for word in WORDS if word in counts],
        reference=_told(reference),
        rows=rows,
        measured=[row for row in rows if row["rules"] and row["verdict"] != "pending"],
        sections=list(dict.fromkeys(row["section"] for row in rows)),
        notebooks=sorted({row["notebook"] for row in rows if row["notebook"]}),
        runs=runs,
        data=data,
        environment=_flat(environment(run)),
        minutes=_minutes,
    )


def _told(reference: Ledger | None) -> dict[str, Any] | None:
    """The reference's words by count, and a row for each statement that it decided."""
    if reference is None:
        return None
    counts = reference.counts()
    rows = [row for row in reference.rows() if row["sentence"]]
    ordered = [row for word in WORDS for row in rows if row["verdict"] == word]
    words = {row["verdict"] for row in rows}
    return {"counts": [(word, counts[word]) for word in WORDS if word in words], "rows": ordered}


def _links(run: Path, label: str) -> list[tuple[str, str]]:
    """Text and relative address of a run's executed notebook, as far as it is there."""
    names = [(label, f"{label}.ipynb"), (f"{label} as a page", f"{label}.html")]
    return [
        (text, f"notebooks/{quote(name)}") for text, name in names if (run / "notebooks" / name).is_file()
    ]


def _plot(row: Mapping[str, Any]) -> str:
    has_interval = any(
        stratum["estimate"] is not None
        for rule in row["rules"]
        if rule["has_interval"]
        for dataset in rule["datasets"].values()
        for stratum in dataset["strata"]
    )
    if not has_interval:
        return ""
    return forest_svg(
        row["rules"], f"Forest plot of {row['id']}: {row['verdict']}; the table below has the numbers"
    )


def _checks(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The numbers of an entry as table rows: rule, data set, stratum."""
    return [
        stratum
        | {
            "reading": rule["reading"],
            "dataset": name,
            "has_interval": rule["has_interval"],
            "eligible": dataset["eligible"],
        }
        for rule in row["rules"]
        for name, dataset in rule["datasets"].items()
        for stratum in dataset["strata"]
    ]


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            rows.extend(_flat(value, f"{prefix}{name}: "))
        else:
            rows.append((f"{prefix}{name}", str(value)))
    return rows


def _minutes(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"
