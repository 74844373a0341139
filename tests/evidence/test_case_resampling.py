"""Intervals that resample test cases, and what happens without predictions."""

import json
from functools import partial

import numpy as np
import pytest
from scipy import stats

from medtl_core.errors import MedtlError
from medtl_core.evaluation.metrics import auroc
from medtl_core.evaluation.statistics import contrast_bootstrap, hierarchical_bootstrap
from medtl_core.evidence.case_resampling import CaseIntervals, Contrast
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
        hard = rng.normal(0, 1, CASES)  # the same cases are hard for all seeds of an arm
        logits = strength * (2 * labels - 1) + hard + rng.normal(0, 0.5, (SEEDS, CASES))
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
    found = estimates(rule(), to_frame(store.all()), CaseIntervals(store, tmp_path))[0]
    oracle = hierarchical_bootstrap(auroc, labels, scores["full"], scores["scratch"])
    assert found.cases
    assert found.interval.high - found.interval.low == pytest.approx(oracle.high - oracle.low)
    seeds_only = estimates(rule(), to_frame(store.all()))[0]
    assert seeds_only.cases is None
    assert seeds_only.interval.high - seeds_only.interval.low < oracle.high - oracle.low
    assert found.p_values.holds >= seeds_only.p_values.holds


def test_the_p_value_is_the_larger_of_seeds_and_cases(predicted, rule, tmp_path):
    store, labels, scores = predicted
    frame = to_frame(store.all())
    both = estimates(rule(margin=0.0), frame, CaseIntervals(store, tmp_path))[0].p_values.holds
    interval = hierarchical_bootstrap(auroc, labels, scores["full"], scores["scratch"])
    over_cases = stats.t.sf(interval.estimate / interval.standard_error, interval.degrees_of_freedom)
    over_seeds = estimates(rule(margin=0.0), frame)[0].p_values.holds
    assert both == pytest.approx(max(over_cases, over_seeds), rel=1e-6)


def test_what_was_computed_is_kept_and_read_without_predictions(predicted, rule, tmp_path):
    store, *_ = predicted
    cases = CaseIntervals(store, tmp_path)
    frame = to_frame(store.all())
    computed = estimates(rule(), frame, cases)
    cases.save()
    for file in (tmp_path / "predictions").iterdir():
        file.unlink()
    assert estimates(rule(), frame, CaseIntervals(store, tmp_path)) == computed
    moved = frame.assign(value=frame["value"] - 0.01 * (frame["arm"] == "full"))
    changed = estimates(rule(), moved, CaseIntervals(store, tmp_path))[0]
    assert changed.cases is False  # the kept interval is of other values
    (tmp_path / "intervals.json").unlink()
    without = estimates(rule(), frame, CaseIntervals(store, tmp_path))[0]
    assert without.interval == estimates(rule(), frame)[0].interval
    assert without.cases is False


def test_infinite_degrees_of_freedom_survive_the_file(predicted, tmp_path):
    store, _, _ = predicted
    keys = [r.key for r in store.all() if r.arm == "full"]
    cases = CaseIntervals(store, tmp_path)
    same = Contrast("auroc", [[keys], [keys]], partial(np.mean, axis=-1), np.zeros((SEEDS, 1)))
    interval = cases.interval(same)
    assert interval.degrees_of_freedom == float("inf")
    cases.save()
    assert json.loads((tmp_path / "intervals.json").read_text(), parse_constant=pytest.fail)
    assert CaseIntervals(store, tmp_path).interval(same) == interval


def test_a_slope_resamples_the_cases_of_all_levels_together(record, rule, tmp_path):
    rng = np.random.default_rng(3)
    labels = rng.permutation(np.repeat([0, 1], 40))
    shared = rng.normal(0, 1, 80)
    store, scores, levels = RecordStore(tmp_path), [], (16, 32, 64, 128)
    for n in levels:
        logits = 0.3 * np.log2(n) * (2 * labels - 1) + shared + rng.normal(0, 0.3, (SEEDS, 80))
        positive = 1 / (1 + np.exp(-logits))
        scores.append(np.stack([1 - positive, positive], axis=2))
        for seed in range(SEEDS):
            value = auroc(labels, scores[-1][seed])
            kept = {"cases": np.arange(80), "labels": labels, "scores": scores[-1][seed]}
            store.add([record(arm="full", seed=seed, value=value, factors={"n": n})], kept)
    asked = rule(kind="trend", trend={"factor": "n", "scale": "log2"}, control=None)
    found = estimates(asked, to_frame(store.all()), CaseIntervals(store, tmp_path))[0]
    oracle = contrast_bootstrap(auroc, labels, scores, lambda values: values @ [-0.3, -0.1, 0.1, 0.3])
    assert found.cases
    assert found.interval.standard_error == pytest.approx(oracle.standard_error, rel=1e-9)
    apart = [hierarchical_bootstrap(auroc, labels, one, np.full_like(one, 0.5)) for one in scores]
    errors = np.array([0.3, 0.1, 0.1, 0.3]) * [one.standard_error for one in apart]
    independent = np.sqrt(np.sum(errors**2))
    assert found.interval.standard_error < independent  # what all levels share cancels


def test_where_cases_cannot_be_resampled_the_estimate_says_so(predicted, rule, record, tmp_path):
    store, labels, _ = predicted
    cases = CaseIntervals(store, tmp_path)
    assert not cases.resamples("train_loss")
    keys = [r.key for r in store.all() if r.arm == "full"]
    kept = {"cases": np.arange(CASES), "labels": 1 - labels, "scores": np.full((CASES, 2), 0.5)}
    store.add([record(arm="other", key="other")], kept)
    others = [*keys, "other"]
    assert (
        cases.interval(Contrast("auroc", [[others], [others]], partial(np.mean, axis=-1), np.zeros((6, 1))))
        is None
    )
    unkept = [record(arm=arm, seed=s, value=0.1 * s) for arm in ("full", "scratch") for s in range(5)]
    assert estimates(rule(), to_frame(unkept), cases)[0].cases is False


def test_a_rank_correlation_resamples_cases_too(record, rule, tmp_path):
    rng = np.random.default_rng(8)
    labels = rng.permutation(np.repeat([0, 1], 20))
    store = RecordStore(tmp_path)
    for n in (16, 32, 64, 128):
        luck = rng.normal(0, 1, 40)  # all seeds of a size share it: a trend of these cases alone
        for seed in range(SEEDS):
            positive = 1 / (1 + np.exp(-(labels + luck + rng.normal(0, 0.05, 40))))
            scores = np.stack([1 - positive, positive], axis=1)
            kept = {"cases": np.arange(40), "labels": labels, "scores": scores}
            value = auroc(labels, scores)
            store.add([record(arm="full", seed=seed, value=value, factors={"n": n})], kept)
    ranked = rule(kind="trend", trend={"factor": "n", "statistic": "spearman"}, control=None)
    frame = to_frame(store.all())
    found = estimates(ranked, frame, CaseIntervals(store, tmp_path))[0]
    assert found.cases
    over_seeds = estimates(ranked, frame)[0].interval
    assert found.interval.standard_error > 2 * over_seeds.standard_error


def test_a_test_set_too_small_to_resample_speaks_of_its_cases_alone(record, rule, tmp_path):
    store = RecordStore(tmp_path)
    labels = np.zeros(4, dtype=int)
    for arm in ("full", "scratch"):
        for seed in range(SEEDS):
            positive = np.linspace(0.1, 0.9, 4)
            scores = np.stack([1 - positive, positive], 1)
            kept = {"cases": np.arange(4), "labels": labels, "scores": scores}
            store.add([record(arm=arm, seed=seed, value=0.5)], kept)
    found = estimates(rule(), to_frame(store.all()), CaseIntervals(store, tmp_path))[0]
    assert found.cases is False
    assert found.interval == estimates(rule(), to_frame(store.all()))[0].interval


def test_a_broken_file_is_one_line(tmp_path):
    for text in ("{", '{"a": 1}', '{"a": {"degrees_of_freedom": 1}}'):
        (tmp_path / "intervals.json").write_text(text)
        with pytest.raises(MedtlError, match=r"intervals\.json: found .* expected intervals by name"):
            CaseIntervals(RecordStore(tmp_path), tmp_path)
