"""Carrying out the trials of a study: in this process, and in workers once there is enough left for them."""

import ctypes
import gc
import linecache
import math
import os
import pickle
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import joblib

from medtl_core import settings
from medtl_core.errors import MedtlError
from medtl_core.inputs import noting
from medtl_core.orphans import die_with_parent
from medtl_core.study.cache_key import Reach
from medtl_core.study.pickled_trial import TrialFunction, dump_trial, load_trial
from medtl_core.study.result_store import ResultStore
from medtl_core.study.seeding import device_kind, seeded
from medtl_core.study.source_closure import package_source
from medtl_core.study.thread_share import share_of_threads, threads_here
from medtl_core.study.trial import FinishedTrial, Task, checked_outcome, keep_trial

_SHORT_TRIAL_S = 0.5  # what takes less frees little, and giving memory back takes a tenth of a second
_START_S = 8  # about what workers take to import what this process has imported, PyTorch above all


@dataclass(frozen=True)
class _Surroundings:
    """What a worker process takes over: threads, environment, digests of the source, its parent's number.

    cells: source of notebook cells by the name of their code. With it a key that the worker makes, such as an
    artefact's, is the one that this process makes.
    """

    threads: int
    environment: dict[str, str]
    sources: dict[str, str]
    uses_torch: bool
    parent: int
    cells: dict[str, list[str]]


def execute(
    trial: TrialFunction,
    tasks: list[Task],
    folder: Path,
    workers: int,
    reached: Reach,
) -> Iterator[tuple[Task, str]]:
    """Run `tasks` and keep what they measured in `folder`; each is given back with its key, in any order.

    This process begins. It hands the rest over to `workers` processes once they would be through sooner,
    their start included. Wherever a trial runs it has an equal share of this process's threads, so that a
    result does not depend on the place. Workers have the environment's `MEDTL_` variables as they are now,
    and refuse to run if their source of the package is not that which the trial reached here. What a trial
    raises is passed on, with a note that names arm, seed and factors; MedtlError for a trial that cannot be
    handed over.
    """
    uses_torch = "torch" in reached.versions
    if uses_torch:
        import torch  # noqa: F401 - a process that has imported it seeds it, too
    threads = max(1, threads_here() // workers)
    # Now, before trials fill what the notebook keeps in memory, which would travel with every task.
    pickled = _pickled(trial) if workers > 1 and len(tasks) > 1 else b""
    waiting, spent = deque(tasks), 0.0
    while waiting and not _workers_are_sooner(spent, len(tasks) - len(waiting), len(waiting), workers):
        started = time.perf_counter()
        task = waiting.popleft()
        key = _perform(trial, task, folder, threads)
        spent += time.perf_counter() - started
        yield task, key
    if waiting:
        surroundings = _Surroundings(
            threads,
            {**settings.exported(), "MEDTL_DEVICE": device_kind()},
            {module: package_source().digest(module) for module in reached.closure.modules},
            uses_torch,
            os.getpid(),
            _cells(),
        )
        with joblib.parallel_config("loky", n_jobs=workers, inner_max_num_threads=threads):
            parallel = joblib.Parallel(return_as="generator_unordered")
        yield from parallel(
            joblib.delayed(_perform_in_worker)(surroundings, pickled, task, folder) for task in waiting
        )


def _workers_are_sooner(spent: float, done: int, left: int, workers: int) -> bool:
    """Whether `left` trials end sooner in workers, if they take as long as the `done` ones took here."""
    if not done:
        return False
    trial_s = spent / done
    return _START_S + trial_s * math.ceil(left / workers) < trial_s * left


def _pickled(trial: TrialFunction) -> bytes:
    try:
        return dump_trial(trial)
    except (TypeError, AttributeError, pickle.PicklingError) as error:
        raise MedtlError(
            f"{getattr(trial, '__name__', trial)}: cannot be handed to another process ({error}); keep such "
            "an object out of what the trial uses, or run one trial at a time: MEDTL_WORKERS=1"
        ) from error


def _perform(trial: TrialFunction, task: Task, folder: Path, threads: int) -> str:
    """Run one trial, keep what it measured, and return its key."""
    with share_of_threads(threads), noting() as inputs, seeded(task.seed):
        started = time.perf_counter()
        try:
            outcome = trial(task.arm, task.seed, **task.factors)
        except Exception as error:
            error.add_note(f"in {task.place}")
            raise
        seconds = time.perf_counter() - started
    metrics, predictions = checked_outcome(outcome, task.place)
    finished = FinishedTrial(metrics, seconds, device_kind(), predictions)
    return keep_trial(ResultStore(folder), task, inputs, finished)


def _perform_in_worker(
    surroundings: _Surroundings, pickled_trial: bytes, task: Task, folder: Path
) -> tuple[Task, str]:
    """`_perform` in another process, which may have served an earlier study with another environment."""
    die_with_parent(surroundings.parent)
    for name in settings.exported():
        os.environ.pop(name, None)
    os.environ.update(surroundings.environment)
    package_source().require(surroundings.sources)
    for name, lines in surroundings.cells.items():
        linecache.cache[name] = (sum(map(len, lines)), None, lines, name)
    if surroundings.uses_torch:
        import torch  # noqa: F401
    started = time.perf_counter()
    try:
        key = _perform(load_trial(pickled_trial), task, folder, surroundings.threads)
    except Exception as error:
        _require_that_it_travels(error, task.place)
        raise
    if time.perf_counter() - started > _SHORT_TRIAL_S:
        _give_freed_memory_back()
    return task, key


def _require_that_it_travels(error: Exception, place: str) -> None:
    """MedtlError in place of an error that another process cannot be sent."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        said = f"{type(error).__name__} in {place}: {' '.join(str(error).split())}"
        raise MedtlError(f"{said}; run one trial at a time to see where: MEDTL_WORKERS=1") from error


def _cells() -> dict[str, list[str]]:
    """Lines of the code that stands in no file, by its name: the cells of a notebook."""
    cached = {name: entry[2] for name, entry in linecache.cache.items() if len(entry) == 4}
    return {name: lines for name, lines in cached.items() if not Path(name).is_file()}


def _give_freed_memory_back() -> None:
    """Return what was freed to the system, where the C library can be asked to (glibc).

    joblib takes freed memory that a worker still holds for a leak and replaces the worker, which then has to
    import and to load everything again.
    """
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
