"""Carrying out the trials of a study: one by one, or in worker processes with their share of threads."""

import ctypes
import gc
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import torch

from medtl_core import settings
from medtl_core.study.seeding import seeded, select_device
from medtl_core.study.trial import FinishedTrial, TrialStore, checked_outcome

_SHORT_TRIAL = 0.5  # seconds; what takes less frees little, and giving memory back takes a tenth of a second
TrialFunction = Callable[..., Mapping[str, Any]]


@dataclass(frozen=True)
class Task:
    """One cell of the grid; `key` is its trial key."""

    arm: str
    seed: int
    factors: dict[str, Any]
    key: str

    @property
    def place(self) -> str:
        """How errors name it."""
        factors = "".join(f", {name}={value!r}" for name, value in self.factors.items())
        return f"trial(arm={self.arm!r}, seed={self.seed}{factors})"


def worker_count(workers: int | None) -> int:
    """Trials to run at a time: `workers`, else `MEDTL_WORKERS`, else 1; MedtlError below 1."""
    return settings.workers() if workers is None else settings.checked_workers(str(workers))


def execute(
    trial: TrialFunction, tasks: list[Task], folder: Path, device: str, workers: int
) -> Iterator[Task]:
    """Run `tasks` and keep what they measured in `folder`; each is given back when finished, in any order.

    With several workers each process gets an equal share of this process's threads, and the environment's
    `MEDTL_` variables as they are now. What a trial raises is passed on, with a note that names arm, seed
    and factors.
    """
    if workers == 1 or len(tasks) < 2:
        for task in tasks:
            yield _perform(trial, task, folder)
        return
    threads = max(1, torch.get_num_threads() // workers)
    environment = {name: value for name, value in os.environ.items() if name.startswith("MEDTL_")}
    environment["MEDTL_DEVICE"] = device
    with joblib.parallel_config("loky", n_jobs=workers, inner_max_num_threads=threads):
        parallel = joblib.Parallel(return_as="generator_unordered")
    yield from parallel(
        joblib.delayed(_perform_in_worker)(threads, environment, trial, task, folder) for task in tasks
    )


def _perform(trial: TrialFunction, task: Task, folder: Path) -> Task:
    """Run one trial and keep what it measured."""
    started = time.perf_counter()
    try:
        with seeded(task.seed):
            outcome = trial(task.arm, task.seed, **task.factors)
    except Exception as error:
        error.add_note(f"in {task.place}")
        raise
    seconds = time.perf_counter() - started
    metrics, predictions = checked_outcome(outcome, task.place)
    finished = FinishedTrial(
        task.key, task.arm, task.seed, task.factors, metrics, seconds, select_device().type, predictions
    )
    TrialStore(folder).keep(finished)
    return task


def _perform_in_worker(
    threads: int,
    environment: dict[str, str],
    trial: TrialFunction,
    task: Task,
    folder: Path,
) -> Task:
    """`_perform` in another process, which may have served an earlier study with another environment."""
    torch.set_num_threads(threads)
    os.environ.update(environment)
    started = time.perf_counter()
    done = _perform(trial, task, folder)
    if time.perf_counter() - started > _SHORT_TRIAL:
        _give_freed_memory_back()
    return done


def _give_freed_memory_back() -> None:
    """Return what was freed to the system, where the C library can be asked to (glibc).

    joblib takes freed memory that a worker still holds for a leak and replaces the worker, which then has to
    import and to load everything anew.
    """
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
