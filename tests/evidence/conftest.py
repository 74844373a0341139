"""Made-up records: what a study would leave, with known effects."""

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from medtl_core.evidence.record import Record, to_frame
from medtl_core.evidence.register import Claim, Rule

DEFAULTS: dict[str, Any] = {
    "notebook": "02_fine_tuning",
    "study": "learning_curve",
    "dataset": "breastmnist",
    "source_domain": "",
    "target_domain": "",
    "arm": "full",
    "factors": {},
    "seed": 0,
    "metric": "auroc",
    "value": 0.9,
    "direction": "higher",
    "n_test": 156,
    "seconds": 1.5,
    "device": "cpu",
}


def make_record(**fields: Any) -> Record:
    """A record with defaults; its key follows from everything but metric and value, as a trial's does."""
    row = DEFAULTS | fields
    trial = repr([(k, row[k]) for k in sorted(row) if k not in ("metric", "value", "direction", "seconds")])
    return Record(**{"key": hashlib.sha256(trial.encode()).hexdigest()[:32]} | row)


def make_pairs(differences: Any, base: float = 0.7, **fields: Any) -> list[Record]:
    """Records of two arms, `full` and `scratch`, that differ by these amounts, one a seed."""
    pairs = zip(differences, np.linspace(-0.05, 0.05, len(differences)), strict=True)
    return [
        make_record(arm=arm, seed=seed, value=float(base + common + extra), **fields)
        for seed, (difference, common) in enumerate(pairs)
        for arm, extra in (("full", difference), ("scratch", 0.0))
    ]


def spread(mean: float, sd: float, n: int = 5) -> np.ndarray:
    """n numbers with exactly this mean and standard deviation (n - 1)."""
    shape = np.arange(n) - (n - 1) / 2
    return mean + sd * shape / shape.std(ddof=1)


@pytest.fixture
def record() -> Callable[..., Record]:
    return make_record


@pytest.fixture
def pairs() -> Callable[..., list[Record]]:
    return make_pairs


@pytest.fixture
def exactly() -> Callable[..., np.ndarray]:
    return spread


@pytest.fixture
def frame() -> Callable[..., pd.DataFrame]:
    return lambda *groups: to_frame(r for group in groups for r in group)


@pytest.fixture
def rule() -> Callable[..., Rule]:
    def make(**fields: Any) -> Rule:
        row = {
            "reading": "main",
            "says": "fine-tuning beats scratch",
            "rule": "superiority",
            "study": "learning_curve",
            "metric": "auroc",
            "treatment": "full",
            "control": "scratch",
            "margin": 0.005,
        }
        return Rule.model_validate({k: v for k, v in (row | fields).items() if v is not None})

    return make


@pytest.fixture
def claim() -> Callable[..., Claim]:
    def make(*rules: Rule, **fields: Any) -> Claim:
        row = {
            "id": "C006",
            "section": "1",
            "statement": "Pretrained networks need fewer images.",
            "locator": "Transfer learning emerges as",
            "references": [5],
            "kind": "empirical",
            "treatment": "test",
            "notebook": "02_fine_tuning",
            "expected": "pretrained > scratch",
        }
        return Claim.model_validate(row | {"rules": [r.model_dump() for r in rules]} | fields)

    return make
