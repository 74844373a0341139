"""A study: one trial over arms x seeds x factors, kept, resumable and in parallel."""

import inspect
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
from tqdm import tqdm

from medtl_core import settings
from medtl_core.errors import MedtlError
from medtl_core.evaluation.metrics import DIRECTION
from medtl_core.evidence.record_store import Record, RecordStore, to_frame
from medtl_core.evidence.study_declaration import StudyDeclaration, declare
from medtl_core.study.artifact import Artifact
from medtl_core.study.cache_key import Reach, reach, recipe_key
from medtl_core.study.parallel import execute
from medtl_core.study.pickled_trial import TrialFunction
from medtl_core.study.result_store import ResultStore
from medtl_core.study.seeding import select_device
from medtl_core.study.trial import FinishedTrial, Task, read_trial

_COLUMNS_BEFORE = ["notebook", "study", "dataset", "source_domain", "target_domain", "arm"]
_COLUMNS_AFTER = ["seed", "metric", "value", "direction", "n_test", "seconds", "device", "key"]
_NO_CONFIGURATION = {"dataset", "domain", "seeds"}  # part of a record by themselves
_RESERVED = {*_COLUMNS_BEFORE, *_COLUMNS_AFTER, "factors"}


class StudyData(Protocol):
    """What a study has to know of its data: an `Archive`, a `DataIdentity`, or whatever has these."""

    @property
    def name(self) -> str: ...

    @property
    def checksum(self) -> str: ...

    @property
    def synthetic(self) -> bool: ...


@dataclass(frozen=True)
class DataIdentity:
    """Data by its name and the checksum of its content; `synthetic`: made up, no evidence about patients."""

    name: str
    checksum: str
    synthetic: bool


class Study:
    """Compares arms on one data set: `trial(arm, seed, **factors)` over arms, seeds and combined factors.

    All arms see the same seeds, so that differences between arms can be taken seed by seed. A trial returns
    metrics by name and, under `predictions`, perhaps a `Predictions`; it may be defined in a notebook.

    `factors` maps a name to its levels (text, numbers or booleans). `directions` says of each metric whether
    `higher` or `lower` is better; metrics that it does not name have the direction of
    `evaluation.metrics.DIRECTION`. `n_test` is the number of test cases, needed if the trial returns no
    predictions. Raises MedtlError for arguments of which no grid can be made.

    What the trial uses of the notebook's settings (plain variables in lower case, such as `backbone` or
    `steps`) and is no factor is the configuration of its records. Arrays that several trials need, such as
    the features of a trained network, are made once by an artefact: `features = Study.artifact(make)`.
    """

    artifact = Artifact

    def __init__(
        self,
        name: str,
        *,
        notebook: str,
        trial: TrialFunction,
        arms: Sequence[str],
        seeds: Iterable[int],
        data: StudyData,
        factors: Mapping[str, Sequence[Any]] | None = None,
        source_domain: str = "",
        target_domain: str = "",
        directions: Mapping[str, str] | None = None,
        n_test: int | None = None,
    ) -> None:
        self.name = name
        self.notebook = notebook
        self.trial = trial
        self.data = DataIdentity(data.name, data.checksum, data.synthetic)
        self.source_domain = source_domain
        self.target_domain = target_domain
        self.directions = {**DIRECTION, **(directions or {})}
        self.n_test = n_test
        self.arms = [str(arm) for arm in self._levels("arm", arms)]
        self.seeds = [int(seed) for seed in self._levels("seed", seeds)]
        self.factors = {key: self._levels(key, levels) for key, levels in (factors or {}).items()}
        if reserved := sorted(_RESERVED & set(self.factors)):
            raise MedtlError(f"study {name!r}: factor {reserved[0]!r} has the name of a column; rename it")
        first = {key: levels[0] for key, levels in self.factors.items()}
        try:
            inspect.signature(trial).bind(self.arms[0], self.seeds[0], **first)
        except TypeError as error:
            raise MedtlError(
                f"study {name!r}: the trial cannot be called with (arm, seed"
                f"{''.join(f', {key}=…' for key in first)}): {error}"
            ) from error

    def run(self, progress: bool = True, workers: int | None = None) -> pd.DataFrame:
        """Run what has not been run, record everything, and return one row per record.

        Finished trials are read from the store (`MEDTL_STORE`); the others run and are kept there one by one,
        so that an interrupted study continues where it stopped. Records go to the run directory
        (`MEDTL_OUT`). Up to `workers` trials run at a time (default: `MEDTL_WORKERS`, else 1), in processes
        of their own where enough is left to be worth the start of these; each trial has an equal share of
        this process's threads. Rows stand in the order of the grid: factors, then seeds, then arms; columns
        are the fields of a record, with one column per factor.

        Raises MedtlError for a result that is not finite numbers by name, and for a metric without direction.
        Whatever else a trial raises is passed on, with a note that names arm, seed and factors.
        """
        count = settings.workers() if workers is None else settings.checked_workers(str(workers))
        reached = reach(self.trial)
        configuration = {
            name: value
            for name, value in sorted(reached.settings.items())
            if name not in {*self.factors, *_NO_CONFIGURATION}
        }
        tasks = self._tasks(reached)
        store, records = ResultStore(settings.store_folder()), RecordStore(settings.run_directory())
        finished: list[tuple[Task, str]] = []
        waiting: list[Task] = []
        for task in tasks:
            key = store.key(task.recipe)
            if key is not None and store.has(key):
                finished.append((task, key))
            else:
                waiting.append(task)
        rows: dict[str, list[Record]] = {}
        with tqdm(total=len(tasks), desc=self.name, disable=not progress, unit="trial", leave=False) as bar:
            running = execute(self.trial, waiting, store.folder, count, reached)
            for task, key in itertools.chain(finished, running):
                done = read_trial(store, task, key)
                rows[task.recipe] = self._records(task, key, done, configuration)
                kept = done.predictions
                records.add(rows[task.recipe], None if kept is None else vars(kept))
                bar.update()
        everything = [record for task in tasks for record in rows[task.recipe]]
        self.declare(dict.fromkeys(record.metric for record in everything))
        columns = [*_COLUMNS_BEFORE, *self.factors, *_COLUMNS_AFTER]
        return to_frame(everything)[columns]

    def declare(self, metrics: Iterable[str]) -> None:
        """Write down beside the records what this study measures, so that rules can be held against it.

        `run` does so by itself; a notebook that leaves a study out of a run says here what it would measure.
        Raises MedtlError for a metric without direction.
        """
        metrics = list(metrics)
        self._require_directions(metrics)
        factors = {name: tuple(levels) for name, levels in self.factors.items()}
        directions = {metric: self.directions[metric] for metric in metrics}
        declaration = StudyDeclaration(self.notebook, self.name, tuple(self.arms), factors, directions)
        declare(settings.run_directory(), declaration)

    def _require_directions(self, metrics: Iterable[str]) -> None:
        if unknown := sorted(set(metrics) - set(self.directions)):
            raise MedtlError(
                f"study {self.name!r}: nothing says whether higher or lower is better for "
                f"{', '.join(unknown)}; add directions={{{unknown[0]!r}: 'higher' or 'lower'}}"
            )

    def _tasks(self, reached: Reach) -> list[Task]:
        device = select_device().type if "torch" in reached.versions else "cpu"
        tasks = []
        for *levels, seed, arm in itertools.product(*self.factors.values(), self.seeds, self.arms):
            factors = dict(zip(self.factors, levels, strict=True))
            recipe = recipe_key(
                reached,
                study=self.name,
                arm=arm,
                seed=seed,
                factors=factors,
                dataset=self.data.name,
                data=self.data.checksum,
                device=device,
            )
            tasks.append(Task(arm, seed, factors, recipe))
        return tasks

    def _records(
        self, task: Task, key: str, finished: FinishedTrial, configuration: Mapping[str, Any]
    ) -> list[Record]:
        kept = finished.predictions
        n_test = self.n_test if kept is None else len(kept.labels)
        if n_test is None:
            raise MedtlError(
                f"study {self.name!r}: {task.place} returned no predictions and the study has no n_test; "
                "give it one"
            )
        self._require_directions(finished.metrics)
        return [
            Record(
                notebook=self.notebook,
                study=self.name,
                dataset=self.data.name,
                source_domain=self.source_domain,
                target_domain=self.target_domain,
                arm=task.arm,
                factors=task.factors,
                seed=task.seed,
                metric=metric,
                value=value,
                direction=self.directions[metric],
                n_test=n_test,
                seconds=finished.seconds,
                device=finished.device,
                key=key,
                synthetic=self.data.synthetic,
                configuration=configuration,
            )
            for metric, value in finished.metrics.items()
        ]

    def _levels(self, what: str, levels: Iterable[Any]) -> list[Any]:
        if isinstance(levels, str):
            raise MedtlError(f"study {self.name!r}: {what} is the text {levels!r}, expected a list of levels")
        plain = [level.item() if isinstance(level, np.generic) else level for level in levels]
        if not plain:
            raise MedtlError(f"study {self.name!r}: {what} has no level, expected at least one")
        kinds: tuple[type, ...] = {"arm": (str,), "seed": (int,)}.get(what, (str, bool, int, float))
        for level in plain:
            wrong = not isinstance(level, kinds) or (what == "seed" and isinstance(level, bool))
            if wrong or (isinstance(level, float) and not math.isfinite(level)):
                names = " or ".join(kind.__name__ for kind in kinds)
                raise MedtlError(f"study {self.name!r}: {what} has the level {level!r}, expected {names}")
        if len(set(plain)) < len(plain):
            raise MedtlError(f"study {self.name!r}: {what} names a level twice: {plain}")
        return plain
