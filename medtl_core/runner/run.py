"""A run from plan to state: what is done is skipped, the rest is executed, and what it left is kept."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from medtl_core.evidence.run_state import RunState, write_state
from medtl_core.evidence.runs import ENVIRONMENT
from medtl_core.files import write_json
from medtl_core.runner.environment import cores, describe, thread_variables
from medtl_core.runner.plan import PlannedRun
from medtl_core.runner.progress import shown
from medtl_core.runner.provenance import provenance
from medtl_core.runner.run_directory import RunDirectory
from medtl_core.runner.task import KernelTask, Outcome
from medtl_core.settings import exported

GIB = 2**30

TRIALS_AT_A_TIME = 4


@dataclass(frozen=True)
class RunSettings:
    """How to run. `device`: cpu or the GPU's name; `store`: of finished trials; `timeout`: seconds a cell."""

    profile: str
    out: Path
    store: Path
    device: str
    workers: int = 1
    scheduler: str | None = None
    timeout: int = 3600
    fresh: bool = False


def execute_plan(
    plan: list[PlannedRun],
    settings: RunSettings,
    log: Callable[[str], None],
    check: Callable[[list[PlannedRun]], None],
    audit: Callable[[PlannedRun], dict[str, dict[str, str]]],
) -> list[RunState]:
    """Does what is not yet done of `plan`; returns the states of all its runs, in order, each with `skipped`.

    `log` is told a line for each run that is skipped; `check` sees those that are not, before anything is
    written, and may refuse them; `audit` gives the verdicts on the data sets of one of these (`RunState`).
    Raises MedtlError where the run directory cannot be written, and KeyboardInterrupt after kernels and
    workers were stopped and the states written.
    """
    directory = RunDirectory(settings.out)
    states = {}
    for run in plan:
        state = None if settings.fresh else directory.finished(run.label, run.key)
        if state is not None:
            log(
                f"{run.label}: already done (same notebook, parameters, code, data), "
                f"{state.seconds or 0:.0f} s in its first run"
            )
            states[run.label] = replace(state, skipped=True)
    todo = [run for run in plan if run.label not in states]
    if todo:
        check(todo)
        if settings.scheduler:
            from medtl_core.runner.worker import require_workers

            require_workers(settings.scheduler)
        directory.prepare()
        with directory.locked():
            code = provenance()
            write_json(settings.out / ENVIRONMENT, describe(settings.device) | code)
            audits = {run.label: audit(run) for run in todo}
            states |= _execute(todo, directory, settings, code, audits)
    return [states[run.label] for run in plan]


def _execute(
    todo: list[PlannedRun],
    directory: RunDirectory,
    settings: RunSettings,
    code: dict[str, Any],
    audits: dict[str, dict[str, dict[str, str]]],
) -> dict[str, RunState]:
    from medtl_core.runner.execute import run_tasks

    workers = min(settings.workers, len(todo))
    threads = {} if settings.scheduler else _share_of_cores(cores() // workers, settings.device)
    tasks, states = [], {}
    for run in todo:
        staging = directory.clear_staging(run.label)
        executed, scratch = directory.executed(run.label), staging / "kernel"
        env = threads | _kernel_environment(settings, staging)
        tasks.append(
            KernelTask(run.label, run.notebook.path, executed, scratch, run.parameters, env, settings.timeout)
        )
        begun = _begun(run, directory, settings, code)
        states[run.label] = replace(begun, audits=audits[run.label])
        write_state(directory.root, states[run.label])

    def ended(label: str, outcome: Outcome) -> None:
        files = directory.publish(label)
        states[label] = _ended(states[label], outcome, files)
        write_state(directory.root, states[label])
        progress.ended(label, outcome.status, outcome.seconds)

    with shown([task.label for task in tasks]) as progress:
        try:
            run_tasks(
                tasks,
                workers=workers,
                scheduler=settings.scheduler,
                on_cells=progress.cells,
                on_outcome=ended,
            )
        except BaseException:
            for label, state in states.items():
                if state.status == "running":
                    directory.discard(label)
                    write_state(directory.root, replace(state, status="interrupted"))
            raise
    return states


def _share_of_cores(share: int, device: str) -> dict[str, str]:
    """Threads of a kernel, and on a CPU the trials that its studies run at a time.

    Small networks use several single-threaded processes better than one process with several threads; each
    takes most of a GiB, hence at most `TRIALS_AT_A_TIME`.
    """
    trials = {"MEDTL_WORKERS": str(min(max(1, share), TRIALS_AT_A_TIME))} if device == "cpu" else {}
    return thread_variables(share) | trials


def _kernel_environment(settings: RunSettings, staging: Path) -> dict[str, str]:
    return {
        **exported(),
        "MEDTL_OUT": str(staging),
        "MEDTL_STORE": str(settings.store),
        "MEDTL_PROFILE": settings.profile,
        "MEDTL_DEVICE": "cpu" if settings.device == "cpu" else "cuda",
        "NO_ALBUMENTATIONS_UPDATE": "1",
    }


def _begun(run: PlannedRun, directory: RunDirectory, settings: RunSettings, code: dict[str, Any]) -> RunState:
    before = directory.state(run.label)
    return RunState(
        label=run.label,
        notebook=run.notebook.name,
        status="running",
        key=run.key,
        files=before.files if before else [],
        title=run.notebook.title,
        profile=settings.profile,
        device=settings.device,
        parameters=run.parameters,
        data=run.inputs,
        budget=run.budget.model_dump(),
        executed=directory.executed(run.label).relative_to(directory.root).as_posix(),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        **code,
    )


def _ended(state: RunState, outcome: Outcome, files: list[str]) -> RunState:
    over = []
    if outcome.seconds > 60 * state.budget["minutes"]:
        over.append("time")
    if outcome.peak_memory > GIB * state.budget["memory_gib"]:
        over.append("memory")
    return replace(state, **asdict(outcome), files=files, over_budget=over)
