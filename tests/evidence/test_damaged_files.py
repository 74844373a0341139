"""Any damage to a file of a run is one line that names the file, or does no harm; it is never a traceback."""

import json

import numpy as np
import pytest

from medtl_core.errors import MedtlError
from medtl_core.evidence.case_resampling import CaseIntervals
from medtl_core.evidence.ledger import build_ledger
from medtl_core.evidence.record_store import RecordStore
from medtl_core.evidence.reference_run import keep_run, read_kept
from medtl_core.evidence.rule_history import changed_rules
from medtl_core.evidence.runs import environment, run_summaries
from medtl_core.evidence.study_declaration import StudyDeclaration, declare, read_declarations

pytestmark = pytest.mark.slow
DAMAGES = 300


@pytest.fixture
def run(tmp_path, record, rule, claim, registered):
    """A run with predictions, a declaration, a state and an environment, judged once and kept once."""
    rng = np.random.default_rng(0)
    store = RecordStore(tmp_path / "run")
    labels = np.repeat([0, 1], 10)
    for seed in range(5):
        for arm in ("full", "scratch"):
            scores = rng.dirichlet([1, 1], 20)
            kept = {"cases": np.arange(20), "labels": labels, "scores": scores}
            store.add([record(arm=arm, seed=seed, value=0.5 + 0.1 * rng.random())], kept)
    declaration = StudyDeclaration(
        "02_fine_tuning", "learning_curve", ("full", "scratch"), {"n": (64,)}, {"auroc": "higher"}
    )
    declare(store.root, declaration)
    state = {"label": "02", "notebook": "02_fine_tuning", "status": "failed", "key": "k", "files": []}
    notes = {"budget": {"minutes": 1.0, "memory_gib": 2.0}, "error": {"name": "ValueError", "message": "x"}}
    (store.root / "state").mkdir()
    (store.root / "state" / "02.json").write_text(json.dumps(state | notes))
    (store.root / "environment.json").write_text(json.dumps({"python": "3.11"}))
    register = registered(claim(rule()))
    build_ledger(register, store)
    keep_run(store.root, tmp_path / "kept", register=register)
    return tmp_path


READERS = {
    "run/predictions/*.npz": lambda run: _predictions(run),
    "run/records/*/*/????????????????????????????????.jsonl": lambda run: RecordStore(run / "run").all(),
    "run/records/*/*/*.study.json": lambda run: read_declarations(RecordStore(run / "run")),
    "run/intervals.json": lambda run: CaseIntervals(RecordStore(run / "run"), run / "run"),
    "run/rules_at_run.json": lambda run: changed_rules([], {}, run / "run", write=False),
    "run/state/02.json": lambda run: run_summaries(run / "run"),
    "run/environment.json": lambda run: environment(run / "run"),
    "kept/records/*/*.jsonl": lambda run: (
        read_kept(run / "kept").all(),
        read_kept(run / "kept").declarations(),
    ),
    "kept/runs.json": lambda run: run_summaries(run / "kept"),
}


def _predictions(run):
    store = RecordStore(run / "run")
    return [store.predictions(record.key) for record in store.all()]


def _damaged(rng, content: bytes) -> bytes:
    """Eight bytes overwritten, the end cut off, a piece taken out, or a piece said twice."""
    at, kind = int(rng.integers(len(content))), rng.integers(4)
    if kind == 0:
        return content[:at] + rng.bytes(8) + content[at + 8 :]
    if kind == 1:
        return content[:at]
    if kind == 2:
        return content[:at] + content[at + int(rng.integers(1, 20)) :]
    return content[:at] + content[at : at + 12] * 2 + content[at + 12 :]


@pytest.mark.parametrize("pattern", READERS)
def test_damage_is_one_line_or_does_no_harm(run, pattern):
    path = sorted(run.glob(pattern))[0]
    whole, rng = path.read_bytes(), np.random.default_rng(1)
    refusals: list[str] = []
    READERS[pattern](run)
    for _ in range(DAMAGES):
        path.write_bytes(_damaged(rng, whole))
        try:
            READERS[pattern](run)
        except MedtlError as error:
            refusals.append(str(error))
    assert len(refusals) > DAMAGES / 4
    assert all(line.startswith(str(path)) and "\n" not in line for line in refusals)
