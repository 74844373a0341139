"""`medtl ledger`, `medtl report`, `medtl keep` and `medtl check`: what a run showed, and which rules fit."""

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
    """Print word and sentence for each statement that a run measured, by the rules as they are now."""
    from medtl_core.cli.ledger_text import ledger_lines
    from medtl_core.evidence.audits import audit_lines
    from medtl_core.evidence.ledger import build_ledger
    from medtl_core.evidence.reference_run import open_run
    from medtl_core.evidence.register import load_register
    from medtl_core.evidence.runs import run_summaries

    folder = find_run(run)
    judged = build_ledger(load_register(), open_run(folder))
    if json:
        print(judged.to_json(), end="")
    else:
        print("\n".join(ledger_lines(judged, audit_lines(run_summaries(folder)))))


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
    merge: Annotated[bool, typer.Option("--merge", help="Add to a run that is kept there.")] = False,
    notebook: Annotated[
        list[str] | None, typer.Option("--notebook", help="Keep only this notebook; may be given again.")
    ] = None,
) -> None:
    """Write a run's records, ledger and environment as small text files, fit for the repository."""
    from medtl_core.evidence.reference_run import keep_run

    print(keep_run(find_run(run), target, overwrite=overwrite, merge=merge, notebooks=notebook or ()))


def check(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]...",
            help="Runs' folders, or names below runs/ or results/, taken together; all kept ones if none.",
        ),
    ] = None,
) -> None:
    """Hold every rule of the register against what the studies of a run say they measure.

    A short run may leave out studies that a longer one has: name both.
    """
    from medtl_core.evidence.reference_run import kept_folders, open_run
    from medtl_core.evidence.register import load_register
    from medtl_core.evidence.register_check import check_register
    from medtl_core.evidence.study_declaration import merge, read_declarations
    from medtl_core.settings import project_root

    folders = [find_run(run) for run in runs] if runs else kept_folders(project_root() / "results")
    declared = merge(one for folder in folders for one in read_declarations(open_run(folder)).values())
    found = check_register(load_register(), declared)
    for problem in found.problems:
        print(problem)
    for notebook, ids in found.waiting.items():
        print(f"not yet declared: {notebook}, with rules of {', '.join(ids)}")
    fit = "1 rule fits" if found.answered == 1 else f"{found.answered} rules fit"
    print(f"{fit} the studies of {', '.join(str(folder) for folder in folders)}")
    if found.problems:
        count = "1 rule asks" if len(found.problems) == 1 else f"{len(found.problems)} times a rule asks"
        raise MedtlError(
            f"{count} for what no study declares (above); mend the rule in notebooks/claims.yaml "
            "or the study in its notebook"
        )


def find_run(name: str | None) -> Path:
    """The folder that `name` means: a path, or a name below runs/ or results/; the latest run for None."""
    from medtl_core.settings import project_root

    root = project_root()
    if name is None:
        states = sorted((root / "runs").glob("*/state/*.json"), key=lambda path: path.stat().st_mtime)
        if not states:
            raise MedtlError(f"{root / 'runs'}: no run there; run notebooks first: medtl run")
        return states[-1].parents[1]
    places = (Path(name), root / name, root / "runs" / name, root / "results" / name)
    for place in places:
        if place.is_dir():
            return place
    raise MedtlError(f"unknown run {name!r}; looked for {', '.join(str(place) for place in places)}")
