"""Intervals that resample test cases as well as seeds, from the predictions that a run kept."""

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from medtl_core.errors import MedtlError
from medtl_core.evaluation import metrics
from medtl_core.evaluation.calibration import expected_calibration_error
from medtl_core.evaluation.statistics import Interval, contrast_bootstrap
from medtl_core.files import read_json, write_text

METRICS: dict[str, Callable[..., float]] = {
    "auroc": metrics.auroc,
    "auprc": metrics.auprc,
    "accuracy": metrics.accuracy,
    "balanced_accuracy": metrics.balanced_accuracy,
    "brier": metrics.brier,
    "ece": expected_calibration_error,
}
Summary = Callable[[np.ndarray], np.ndarray]
FILE = "intervals.json"
SIGNIFICANT_DIGITS = 5
"""Fewer than a kept run has, so that it finds the intervals of the run it was made from."""


class PredictionSource(Protocol):
    """What keeps predictions by a trial's key."""

    def predictions(self, key: str) -> dict[str, np.ndarray] | None:
        """`cases`, `labels` and `scores` of a trial, or None."""


@dataclass(frozen=True)
class Contrast:
    """One number a seed, made of a metric at several trials.

    `keys` holds those of the trials, by arm (one, or treatment and control), column and seed; `effects`
    (S, C) what the records give for treatment - control; `summary` (..., C) -> (...) makes one number of the
    columns.
    """

    metric: str
    keys: list[list[list[str]]]
    summary: Summary
    effects: np.ndarray

    @property
    def name(self) -> str:
        """Hash of all that the interval depends on, values included: changed records are judged anew."""
        numbers = [*self.effects.ravel().tolist(), *self.summary(self.effects).tolist()]
        values = [f"{value:.{SIGNIFICANT_DIGITS}g}" for value in numbers]
        return hashlib.sha256(json.dumps([self.metric, self.keys, values]).encode()).hexdigest()[:24]

    def of_trials(self, values: np.ndarray) -> np.ndarray:
        """The number (...) from the metrics of all trials (..., T): treatment's columns, then control's."""
        columns = self.effects.shape[1]
        if len(self.keys) == 1:
            return np.asarray(self.summary(values))
        return np.asarray(self.summary(values[..., :columns] - values[..., columns:]))


class CaseIntervals:
    """Intervals over seeds and test cases; those once computed are kept in `intervals.json` of the folder.

    A kept run has no predictions, only that file, and judges from it.
    """

    def __init__(self, source: PredictionSource, folder: Path) -> None:
        self._source = source
        self._path = folder / FILE
        self._known = _read(self._path)
        self._changed = False

    def resamples(self, metric: str) -> bool:
        """Whether a metric follows from predictions, so that other test cases would give another value."""
        return metric in METRICS

    def interval(self, contrast: Contrast) -> Interval | None:
        """The contrast's interval, or None where predictions are missing or of different test cases."""
        name = contrast.name
        if name not in self._known:
            computed = self._compute(contrast)
            if computed is None:
                return None
            self._known[name] = computed
            self._changed = True
        return self._known[name]

    def save(self) -> None:
        """Keep what was computed."""
        if self._changed:
            rows = {name: _plain(interval) for name, interval in sorted(self._known.items())}
            write_text(self._path, json.dumps(rows, indent=1) + "\n")
            self._changed = False

    def _compute(self, contrast: Contrast) -> Interval | None:
        trials = [seeds for columns in contrast.keys for seeds in columns]
        found = [self._source.predictions(key) for seeds in trials for key in seeds]
        kept = [predictions for predictions in found if predictions is not None]
        if len(kept) < len(found):
            return None
        first = kept[0]
        if not all(
            np.array_equal(p["cases"], first["cases"]) and np.array_equal(p["labels"], first["labels"])
            for p in kept
        ):
            return None
        scores = np.stack([p["scores"] for p in kept])
        by_trial = scores.reshape(len(trials), -1, *scores.shape[1:])
        try:
            return contrast_bootstrap(METRICS[contrast.metric], first["labels"], by_trial, contrast.of_trials)
        except MedtlError:  # too few cases of a class for samples that hold them all
            return None


def _plain(interval: Interval) -> dict[str, Any]:
    row = asdict(interval)
    return row | {"degrees_of_freedom": _finite_or_none(row["degrees_of_freedom"])}


def _finite_or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _read(path: Path) -> dict[str, Interval]:
    if not path.is_file():
        return {}
    return read_json(path, _parsed, expected="intervals by name", remedy="delete it and judge the run again")


def _parsed(rows: Any) -> dict[str, Interval]:
    return {
        name: Interval(**row | {"degrees_of_freedom": row["degrees_of_freedom"] or math.inf})
        for name, row in rows.items()
    }
