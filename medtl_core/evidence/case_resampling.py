"""Intervals that resample test cases as well as seeds, from the predictions that a run kept."""

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from medtl_core.errors import MedtlError
from medtl_core.evaluation import metrics
from medtl_core.evaluation.calibration import expected_calibration_error
from medtl_core.evaluation.statistics import Interval, hierarchical_bootstrap
from medtl_core.files import read_json, write_text

METRICS: dict[str, Callable[..., float]] = {
    "auroc": metrics.auroc,
    "auprc": metrics.auprc,
    "accuracy": metrics.accuracy,
    "balanced_accuracy": metrics.balanced_accuracy,
    "brier": metrics.brier,
    "ece": expected_calibration_error,
}
FILE = "intervals.json"


class PredictionSource(Protocol):
    """What keeps predictions by a trial's key."""

    def predictions(self, key: str) -> dict[str, np.ndarray] | None:
        """`cases`, `labels` and `scores` of a trial, or None."""


class CaseIntervals:
    """Intervals over seeds and test cases; those once computed are kept in `intervals.json` of the folder.

    A kept run has no predictions, only that file, and judges from it.
    """

    def __init__(self, source: PredictionSource, folder: Path) -> None:
        self._source = source
        self._path = folder / FILE
        self._known = _read(self._path)
        self._changed = False

    def interval(self, metric: str, treatment: list[str], control: list[str]) -> tuple[Interval | None, str]:
        """Interval for the trials of these keys (position s is seed s), or None and why there is none."""
        name = hashlib.sha256(json.dumps([metric, treatment, control]).encode()).hexdigest()[:24]
        if name not in self._known:
            computed = self._compute(metric, treatment, control)
            if isinstance(computed, str):
                return None, f"test cases not resampled: {computed}"
            self._known[name] = computed
            self._changed = True
        return self._known[name], ""

    def save(self) -> None:
        """Keep what was computed."""
        if self._changed:
            rows = {name: _plain(interval) for name, interval in sorted(self._known.items())}
            write_text(self._path, json.dumps(rows, indent=1) + "\n")
            self._changed = False

    def _compute(self, metric: str, treatment: list[str], control: list[str]) -> Interval | str:
        if metric not in METRICS:
            return f"{metric} does not follow from predictions"
        found = [self._source.predictions(key) for key in (*treatment, *control)]
        kept = [predictions for predictions in found if predictions is not None]
        if len(kept) < len(found):
            return "no predictions kept"
        first = kept[0]
        if not all(
            np.array_equal(p["cases"], first["cases"]) and np.array_equal(p["labels"], first["labels"])
            for p in kept
        ):
            return "the seeds have different test cases"
        scores = np.stack([p["scores"] for p in kept])
        seeds = len(treatment)
        try:
            return hierarchical_bootstrap(METRICS[metric], first["labels"], scores[:seeds], scores[seeds:])
        except MedtlError as error:
            return str(error)


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
