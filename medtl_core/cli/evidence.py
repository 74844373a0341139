"""`medtl ledger`, `medtl report` and `medtl keep`: what a run showed."""

from pathlib import Path
from typing import Annotated

import typer

from medtl_core.errors import MedtlError

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Run = Annotated[
    str | None,
    typer.Argument(help="A run's folder or its name below runs/ or results/; the latest run if none."),
]


def ledger(run: Run = None, json: JsonFlag = False) -> None:
    """Print the verdicts that follow from a run's records, by the rules as they are now."""
    from rich.console import Console

    from medtl_core.cli.summary import verdict_table
    from medtl_core.evidence.ledger import build_ledger
    from medtl_core.evidence.reference_run import open_run
    from medtl_core.evidence.register import load_register

    judged = build_ledger(load_register(), open_run(find_run(run)))
    if json:
        print(judged.to_json(), end="")
    else:
        Console().print(verdict_table(judged))


def report(run: Run = None) -> None:
    """Write ledger.json and report.html of a run again; the last line is the report's path."""
    from medtl_core.evidence.reference_run import open_run

    folder = find_run(run)
    if open_run(folder).kept:
        raise MedtlError(f"{folder}: a kept run, which has no report; its verdicts: medtl ledger {run}")
    from medtl_core.reporting.judging import judge_run

    print(judge_run(folder)[1])


def keep(
    run: Annotated[str, typer.Argument(help="A run's folder or its name below runs/.")],
    target: Annotated[Path, typer.Argument(help="Where it is kept, such as results/NAME.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a run that is kept there.")] = False,
) -> None:
    """Write a run's records, ledger and environment as small text files, fit for the repository."""
    from medtl_core.evidence.reference_run import keep_run

    print(keep_run(find_run(run), target, overwrite=overwrite))


def find_run(name: str | None) -> Path:
    """The folder that `name` means: a path, or a name below runs/ or results/; the latest run for None."""
    from medtl_core.settings import project_root

    root = project_root()
    if name is None:
        states = sorted((root / "runs").glob("*/state/*.json"), key=lambda path: path.stat().st_mtime)
        if not states:
            raise MedtlError(f"{root / 'runs'}: no run there; run notebooks first: medtl run")
        return states[-1].parents[1]
    places = (Path(name), root / "runs" / name, root / "results" / name)
    for place in places:
        if place.is_dir():
            return place
    raise MedtlError(f"unknown run {name!r}; looked for {', '.join(str(place) for place in places)}")
