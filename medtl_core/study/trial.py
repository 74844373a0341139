"""A trial: one cell of a study's grid, what it gives back, checked, and how that is kept.

A trial is a plain function `trial(arm, seed, **factors) -> {metric: number}`; under the key `predictions` the
dictionary may hold one `Predictions`.
"""

import math
import numbers
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from medtl_core.errors import MedtlError
from medtl_core.inputs import Input
from medtl_core.study.result_store import ResultStore

PREDICTIONS = "predictions"


@dataclass
class Predictions:
    """Scores of one trial, case by case.

    `cases` (N,) identifiers (text or integers), the same in every arm; `labels` (N,) integers from 0 to K-1;
    `scores` (N, K) finite, higher for the likelier class. Raises MedtlError where these do not fit.
    """

    cases: np.ndarray
    labels: np.ndarray
    scores: np.ndarray

    def __post_init__(self) -> None:
        self.cases, self.labels = np.asarray(self.cases), np.asarray(self.labels)
        self.scores = np.asarray(self.scores, dtype=np.float64)
        n = len(self.scores) if self.scores.ndim else 0
        if self.scores.ndim != 2 or n == 0 or self.cases.shape != (n,) or self.labels.shape != (n,):
            raise MedtlError(
                f"predictions: cases {self.cases.shape}, labels {self.labels.shape} and scores "
                f"{self.scores.shape}, expected (N,), (N,) and (N, K) with N of at least 1"
            )
        if self.cases.dtype.kind not in "iuU" or self.labels.dtype.kind not in "iu":
            raise MedtlError(
                f"predictions: cases are {self.cases.dtype} and labels {self.labels.dtype}, "
                "expected text or integers, and integers"
            )
        if not np.isfinite(self.scores).all():
            raise MedtlError(f"predictions: {int((~np.isfinite(self.scores)).sum())} scores are not finite")
        if self.labels.min() < 0 or self.labels.max() >= self.scores.shape[1]:
            raise MedtlError(
                f"predictions: labels from {self.labels.min()} to {self.labels.max()}, but scores for "
                f"{self.scores.shape[1]} classes"
            )


@dataclass(frozen=True)
class Task:
    """One cell of the grid; `recipe` is its key but for its inputs (`cache_key.recipe_key`)."""

    arm: str
    seed: int
    factors: dict[str, Any]
    recipe: str

    @property
    def place(self) -> str:
        """How errors name it."""
        factors = "".join(f", {name}={value!r}" for name, value in self.factors.items())
        return f"trial(arm={self.arm!r}, seed={self.seed}{factors})"

    @property
    def identity(self) -> dict[str, Any]:
        """What its file has to say of itself."""
        return {"arm": self.arm, "seed": self.seed, "factors": self.factors}


@dataclass(frozen=True)
class FinishedTrial:
    """What one trial measured; `seconds` is its wall time, `device` cpu or cuda."""

    metrics: dict[str, float]
    seconds: float
    device: str
    predictions: Predictions | None = None


def keep_trial(store: ResultStore, task: Task, inputs: Iterable[Input], trial: FinishedTrial) -> str:
    """Keep what a trial measured and return its key; errors as `ResultStore.keep`."""
    measured = {"metrics": trial.metrics, "seconds": trial.seconds, "device": trial.device}
    arrays = None if trial.predictions is None else vars(trial.predictions)
    return store.keep(task.recipe, inputs, {**task.identity, **measured}, arrays)


def read_trial(store: ResultStore, task: Task, key: str) -> FinishedTrial:
    """What the finished trial of this key measured; errors as `ResultStore.read`."""
    content, arrays = store.read(key, task.identity)
    try:
        metrics, _ = checked_outcome(content["metrics"], task.place)
        predictions = Predictions(**arrays) if arrays else None
        return FinishedTrial(metrics, float(content["seconds"]), str(content["device"]), predictions)
    except (KeyError, TypeError, ValueError, MedtlError) as error:
        raise MedtlError(
            f"{store.folder / key}.json: found no readable trial ({error}); delete it and run the study again"
        ) from error


def checked_outcome(outcome: object, place: str) -> tuple[dict[str, float], Predictions | None]:
    """Metrics as floats, and the predictions if there are any, of what a trial returned.

    `place` names the trial in errors. Raises MedtlError unless `outcome` is a dictionary that maps at least
    one metric's name to a finite number (booleans count as 0 and 1), and `predictions` to a `Predictions`.
    """
    if not isinstance(outcome, Mapping):
        raise MedtlError(
            f"{place} returned {type(outcome).__name__}, expected a dictionary of metrics and numbers"
        )
    values = dict(outcome)
    predictions = values.pop(PREDICTIONS, None)
    if predictions is not None and not isinstance(predictions, Predictions):
        raise MedtlError(
            f"{place} returned {type(predictions).__name__} under 'predictions', expected Predictions"
        )
    if not values:
        raise MedtlError(f"{place} returned no metric, expected at least one name with a number")
    for name, value in values.items():
        if not isinstance(name, str) or not name:
            raise MedtlError(f"{place} returned a metric named {name!r}, expected text")
        if not isinstance(value, numbers.Real | np.bool_):
            raise MedtlError(f"{place} returned {name} as {type(value).__name__}, expected a number")
        if not math.isfinite(value):
            raise MedtlError(
                f"{place} returned {name} = {value}, expected a finite number; measure the failure "
                "as a metric of its own"
            )
    return {name: float(value) for name, value in values.items()}, predictions
