"""What a trial gives back, checked; and the folder of finished trials.

A trial is a plain function `trial(arm, seed, **factors) -> {metric: number}`; under the key `predictions` the
dictionary may hold one `Predictions`.
"""

import json
import math
import numbers
import tempfile
import time
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medtl_core.errors import MedtlError
from medtl_core.files import write_atomically, write_text

PREDICTIONS = "predictions"
_ABANDONED_AFTER = 3600.0  # seconds; what a process killed while writing left behind


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
class FinishedTrial:
    """One trial that ran to its end; `seconds` is its wall time, `device` cpu or cuda."""

    key: str
    arm: str
    seed: int
    factors: dict[str, Any]
    metrics: dict[str, float]
    seconds: float
    device: str
    predictions: Predictions | None = None


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


class TrialStore:
    """Finished trials in one folder, shared by all runs: `<key>.json`, and `<key>.npz` for predictions.

    A file is written under another name and renamed, the `.json` last: a trial has finished if, and only if,
    its `.json` stands there. Raises MedtlError if the folder cannot be made or written to.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.folder, prefix=".part-"):
                pass  # found out before hours of training, not after
            for part in self.folder.glob(".part-*"):
                with suppress(FileNotFoundError):  # its process may finish it meanwhile
                    if time.time() - part.stat().st_mtime > _ABANDONED_AFTER:
                        part.unlink()
        except OSError as error:
            raise MedtlError(
                f"{self.folder}: finished trials cannot be kept here ({error.strerror or error}); "
                "set MEDTL_STORE to a folder that can be written to"
            ) from error

    def has(self, key: str) -> bool:
        """Whether the trial of this key has finished."""
        return self._path(key, "json").is_file()

    def keep(self, trial: FinishedTrial) -> None:
        """Keep a finished trial; MedtlError if there is no space or no right to write."""
        content = asdict(trial)
        predictions = content.pop("predictions")
        if predictions is not None:
            write_atomically(
                self._path(trial.key, "npz"), lambda file: np.savez_compressed(file, **predictions)
            )
        content["predictions"] = predictions is not None
        text = json.dumps(content, indent=1, allow_nan=False)
        write_text(self._path(trial.key, "json"), text)

    def read(self, key: str) -> FinishedTrial:
        """The finished trial of this key; MedtlError if its files are missing or damaged."""
        path = self._path(key, "json")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            kept = content.pop("predictions")
            predictions = None
            if kept:
                path = self._path(key, "npz")
                with np.load(path, allow_pickle=False) as arrays:
                    predictions = Predictions(arrays["cases"], arrays["labels"], arrays["scores"])
            return FinishedTrial(**content, predictions=predictions)
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, MedtlError) as error:
            raise MedtlError(
                f"{path}: no readable trial ({type(error).__name__}); delete it and run the study again"
            ) from error

    def _path(self, key: str, suffix: str) -> Path:
        return self.folder / f"{key}.{suffix}"
