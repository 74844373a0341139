"""What a run ends with, from made-up records."""

import pytest

from medtl_core.evidence.ledger import build_ledger
from medtl_core.evidence.record_store import RecordStore
from medtl_core.evidence.rule import Tolerance
from medtl_core.reporting.closing import identities, planted_effects, told, words_by_evidence


@pytest.fixture
def ledger(tmp_path, rule, claim, registered, pairs, exactly, record):
    def build(effect, value, **fields):
        store = RecordStore(tmp_path / "run")
        for r in [
            *pairs(exactly(effect, 0.01, 3), **fields),
            record(arm="identity", value=value, metric="gap"),
        ]:
            store.add([r])
        identity = rule(
            kind="deterministic", metric="gap", control=None, treatment="identity",
            tolerance=Tolerance(op="<=", value=1e-5), hypothesis="they are equal",
        )  # fmt: skip
        entries = [claim(rule(), population="method"), claim(identity, id="C007", handling="demonstration")]
        return build_ledger(registered(*entries), store)

    return build


def test_identities_are_met_or_named(ledger):
    met = identities(ledger(0.1, 1e-7))
    assert (met.held, met.total, met.failed) == (1, 1, [])
    broken = identities(ledger(0.1, 1e-3))
    assert (broken.held, broken.failed) == (0, ["C007 (they are equal) on breastmnist"])


@pytest.mark.parametrize(("effect", "failed"), [(0.1, 0), (0.001, 1), (-0.1, 1)])
def test_a_planted_effect_shows_or_is_named(ledger, effect, failed):
    found = planted_effects(ledger(effect, 0.0, dataset="phantoms", synthetic=True))
    assert (found.total, len(found.failed)) == (1, failed)


@pytest.mark.parametrize(("combine", "total", "failed"), [("all", 2, 1), ("any", 1, 0), ("majority", 1, 1)])
def test_a_rule_for_one_stratum_or_for_most_plants_one_effect(
    tmp_path, rule, claim, registered, pairs, exactly, combine, total, failed
):
    store = RecordStore(tmp_path / "run")
    for n, effect in ((32, -0.1), (64, 0.1)):
        made_up = {"dataset": "phantoms", "synthetic": True}
        for r in pairs(exactly(effect, 0.02), factors={"n": n}, n_test=n, **made_up):
            store.add([r])
    entry = claim(rule(by=["n"], combine=combine, population="method"), id="C006")
    found = planted_effects(build_ledger(registered(entry), store))
    assert (found.total, len(found.failed)) == (total, failed)


def test_an_effect_that_nobody_put_in_is_not_asked_for(tmp_path, rule, claim, registered, pairs, exactly):
    store = RecordStore(tmp_path / "run")
    for r in pairs(exactly(-0.1, 0.02), dataset="phantoms", synthetic=True):
        store.add([r])
    planted, found = (
        planted_effects(build_ledger(registered(claim(rule(population="method", **more), id="C006")), store))
        for more in ({}, {"planted": False})
    )
    assert (planted.total, found.total) == (1, 0)


def test_effects_on_real_data_are_not_planted(ledger):
    assert planted_effects(ledger(0.1, 0.0)).total == 0


def test_what_is_told_first(tmp_path, rule, claim, registered, pairs, exactly):
    store = RecordStore(tmp_path / "run")
    for n, (metric, effect) in enumerate((("auroc", 0.1), ("ece", -0.1), ("brier", 0.0)), 100):
        for r in pairs(exactly(effect, 0.02), metric=metric, n_test=n):  # a trial of its own
            store.add([r])
    entries = [
        claim(rule(metric=m), id=i) for m, i in (("auroc", "C006"), ("ece", "C007"), ("brier", "C008"))
    ]
    rows = told(build_ledger(registered(*entries), store))
    assert [(row["id"], row["verdict"]) for row in rows] == [("C007", "contradicted"), ("C006", "supported")]
    assert all(row["sentence"].endswith(".") for row in rows)


@pytest.fixture
def both_kinds(tmp_path, pairs, exactly):
    """Records in which patients' images support an effect of AUROC, and phantoms contradict one of ECE."""
    store = RecordStore(tmp_path / "run")
    made_up = {"dataset": "phantoms", "synthetic": True, "metric": "ece"}
    for r in [*pairs(exactly(0.1, 0.02)), *pairs(exactly(-0.1, 0.02), n_test=101, **made_up)]:
        store.add([r])
    return store


def test_words_that_patients_images_decide_stand_apart_from_those_of_made_up_ones(
    both_kinds, rule, claim, registered
):
    entries = [
        claim(rule(), id="C006"),
        claim(rule(metric="ece"), id="C007", population="method"),
        claim(rule(metric="brier"), id="C008"),
    ]
    patients, phantoms = words_by_evidence(build_ledger(registered(*entries), both_kinds))
    assert (patients, phantoms) == ({"supported": 1}, {"contradicted": 1})


def test_what_patients_images_decide_is_told_before_what_made_up_ones_do(both_kinds, rule, claim, registered):
    entries = [claim(rule(metric="ece"), id="C006", population="method"), claim(rule(), id="C007")]
    told_first = told(build_ledger(registered(*entries), both_kinds))
    assert [row["verdict"] for row in told_first] == ["supported", "contradicted"]
