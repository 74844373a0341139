"""Intervals that resample test cases, and what happens without predictions."""

import json

import numpy as np
import pytest

from medtl_core.errors import MedtlError
from medtl_core.evaluation.metrics import auroc
from medtl_core.evaluation.statistics import hierarchical_bootstrap
from medtl_core.evidence.case_resampling import CaseIntervals
from medtl_core.evidence.estimation import estimates
from medtl_core.evidence.record import to_frame
from medtl_core.evidence.record_store import RecordStore

SEEDS, CASES = 5, 60


@pytest.fixture
def predicted(tmp_path, record):
    """A store with two arms of which predictions were kept, and the scores by arm (S, N, K)."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat([0, 1], CASES // 2))
    store, scores = RecordStore(tmp_path), {}
    for arm, strength in (("full", 2.0), ("scratch", 0.7)):
        logits = strength * (2 * labels - 1) + rng.normal(0, 1, (SEEDS, CASES))
        positive = 1 / (1 + np.exp(-logits))
        scores[arm] = np.stack([1 - positive, positive], axis=2)
        for seed in range(SEEDS):
            value = auroc(labels, scores[arm][seed])
            trial = record(arm=arm, seed=seed, value=value, factors={"n": 64})
            kept = {"cases": np.arange(CASES), "labels": labels, "scores": scores[arm][seed]}
            store.add([trial], kept)
    return store, labels, scores


def test_the_interval_is_that_of_the_hierarchical_bootstrap(predicted, rule, tmp_path):
    store, labels, scores = predicted
    cases = CaseIntervals(store, tmp_path)
    found = estimates(rule(resample_cases=True), to_frame(store.all()), cases)[0]
    assert found.interval == hierarchical_bootstrap(auroc, labels, scores["full"], scores["scratch"])
    assert found.note == ""
    seeds_only = estimates(rule(), to_frame(store.all()), cases)[0]
    assert seeds_only.interval != found.interval


def test_what_was_computed_is_kept_and_read_without_predictions(predicted, rule, tmp_path):
    store, *_ = predicted
    cases = CaseIntervals(store, tmp_path)
    frame = to_frame(store.all())
    computed = estimates(rule(resample_cases=True), frame, cases)
    cases.save()
    for file in (tmp_path / "predictions").iterdir():
        file.unlink()
    again = CaseIntervals(store, tmp_path)
    assert estimates(rule(resample_cases=True), frame, again) == computed
    (tmp_path / "intervals.json").unlink()
    without = estimates(rule(resample_cases=True), frame, CaseIntervals(store, tmp_path))[0]
    assert without.interval == estimates(rule(), frame)[0].interval
    assert "no predictions kept" in without.note


def test_infinite_degrees_of_freedom_survive_the_file(predicted, tmp_path):
    store, _, _ = predicted
    keys = [r.key for r in store.all() if r.arm == "full"]
    cases = CaseIntervals(store, tmp_path)
    interval, _ = cases.interval("auroc", keys, keys)
    assert interval.degrees_of_freedom == float("inf")
    cases.save()
    assert json.loads((tmp_path / "intervals.json").read_text(), parse_constant=pytest.fail)
    assert CaseIntervals(store, tmp_path).interval("auroc", keys, keys) == (interval, "")


def test_reasons_why_cases_are_not_resampled(predicted, rule, record, tmp_path):
    store, labels, _ = predicted
    keys = [r.key for r in store.all() if r.arm == "full"]
    cases = CaseIntervals(store, tmp_path)
    assert cases.interval("train_loss", keys, keys)[1].endswith("train_loss does not follow from predictions")
    kept = {"cases": np.arange(CASES), "labels": 1 - labels, "scores": np.full((CASES, 2), 0.5)}
    store.add([record(arm="other", key="other")], kept)
    assert "different test cases" in cases.interval("auroc", [*keys, "other"], [*keys, "other"])[1]
    more = [record(arm=arm, seed=s, factors={"n": 9}) for arm in ("full", "scratch") for s in range(SEEDS)]
    two_levels = to_frame([*store.all(), *more])
    assert "several levels" in estimates(rule(resample_cases=True), two_levels, cases)[0].note


def test_a_test_set_too_small_to_resample_is_a_remark(record, rule, tmp_path):
    store = RecordStore(tmp_path)
    labels = np.zeros(4, dtype=int)
    for arm in ("full", "scratch"):
        for seed in range(SEEDS):
            positive = np.linspace(0.1, 0.9, 4)
            kept = {
                "cases": np.arange(4),
                "labels": labels,
                "scores": np.stack([1 - positive, positive], 1),
            }
            store.add([record(arm=arm, seed=seed, value=0.5)], kept)
    found = estimates(rule(resample_cases=True), to_frame(store.all()), CaseIntervals(store, tmp_path))[0]
    assert found.note.startswith("test cases not resampled: ")
    assert found.interval == estimates(rule(), to_frame(store.all()))[0].interval


def test_a_broken_file_is_one_line(tmp_path):
    for text in ("{", '{"a": 1}', '{"a": {"degrees_of_freedom": 1}}'):
        (tmp_path / "intervals.json").write_text(text)
        with pytest.raises(MedtlError, match=r"intervals\.json: found .* expected intervals by name"):
            CaseIntervals(RecordStore(tmp_path), tmp_path)
