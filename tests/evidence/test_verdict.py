"""Every word of an entry, reached from records; and what tips one word into another."""

import numpy as np
import pytest
from scipy import stats

from medtl_core.errors import MedtlError
from medtl_core.evidence.record import to_frame
from medtl_core.evidence.rule import Tolerance
from medtl_core.evidence.verdict import judge_entries

NOTEBOOK = "02_fine_tuning"


@pytest.fixture
def word(judge):
    return lambda rule, records, **evidence: judge(rule, to_frame(records), **evidence).verdict


@pytest.fixture
def one(registered):
    return lambda claims, *records: judge_entries(
        registered(*claims), {NOTEBOOK: to_frame([r for group in records for r in group])}
    )


def test_superiority_says_each_word(word, rule, pairs, exactly):
    assert word(rule(), pairs(exactly(0.05, 0.02))) == "supported"
    assert word(rule(), pairs(exactly(-0.05, 0.02))) == "contradicted"
    assert word(rule(direction="lower"), pairs(exactly(-0.05, 0.02))) == "supported"
    assert word(rule(direction="lower"), pairs(exactly(0.05, 0.02))) == "contradicted"
    assert word(rule(margin=0.05), pairs(exactly(0.0, 0.02))) == "not supported"
    assert word(rule(), pairs(exactly(0.0, 0.02))) == "inconclusive"
    # surely above 0, and smaller than what matters
    assert word(rule(margin=0.01), pairs(exactly(0.005, 0.001))) == "not supported"
    assert word(rule(margin=0.01), pairs(exactly(0.009, 0.004))) == "inconclusive"


def test_a_number_is_tested_against_itself(word, rule, pairs, exactly):
    asked = rule(kind="at_least", margin=0.05)
    assert word(asked, pairs(exactly(0.08, 0.02))) == "supported"
    assert word(asked, pairs(exactly(0.06, 0.02))) == "inconclusive"
    assert word(rule(margin=0.05), pairs(exactly(0.06, 0.02))) == "supported"
    assert word(asked, pairs(exactly(0.02, 0.02))) == "not supported"
    assert word(asked, pairs(exactly(-0.05, 0.02))) == "contradicted"
    level = rule(kind="at_least", margin=0.75, control=None)
    assert word(level, pairs(exactly(0.1, 0.02))) == "inconclusive"
    assert word(level, pairs(exactly(0.2, 0.02))) == "supported"
    low = rule(kind="at_least", margin=0.1, direction="lower")
    assert word(low, pairs(exactly(-0.2, 0.02))) == "supported"


def test_equivalence_says_each_word(word, rule, pairs, exactly):
    equal = rule(kind="equivalence", margin=0.01)
    assert word(equal, pairs(exactly(0.002, 0.003))) == "supported"
    assert word(equal, pairs(exactly(-0.03, 0.003))) == "contradicted"
    assert word(equal, pairs(exactly(0.009, 0.003))) == "inconclusive"


def test_non_inferiority_says_each_word(word, rule, pairs, exactly):
    higher = rule(kind="non_inferiority", margin=0.01)
    assert word(higher, pairs(exactly(0.05, 0.003))) == "supported"
    assert word(higher, pairs(exactly(-0.005, 0.003))) == "supported"
    assert word(higher, pairs(exactly(-0.03, 0.003))) == "contradicted"
    assert word(higher, pairs(exactly(0.0, 0.05))) == "inconclusive"
    lower = rule(kind="non_inferiority", margin=0.01, direction="lower")
    assert word(lower, pairs(exactly(-0.05, 0.003))) == "supported"
    assert word(lower, pairs(exactly(0.03, 0.003))) == "contradicted"


@pytest.mark.slow
def test_a_metric_moved_by_its_margin_tips_the_word_every_time(word, rule, pairs):
    rng = np.random.default_rng(3)
    for _ in range(30):
        noise = rng.normal(0, 0.0005, 6)
        noise -= noise.mean()
        assert word(rule(margin=0.01), pairs(0.015 + noise)) == "supported"
        assert word(rule(margin=0.01), pairs(0.015 - 0.01 + noise)) != "supported"
        equal = rule(kind="equivalence", margin=0.01)
        assert word(equal, pairs(0.005 + noise)) == "supported"
        assert word(equal, pairs(0.005 + 0.01 + noise)) == "contradicted"


def test_identities_hold_or_are_broken(rule, record, claim, one):
    def exact(bound, **fields):
        tolerance = Tolerance(op="<=", value=bound)
        return rule(kind="deterministic", tolerance=tolerance, treatment="identity", control=None, **fields)

    records = [record(arm="identity", value=1e-7)]
    shown = one([claim(exact(1e-5), handling="demonstration")], records)[0]
    assert (shown.verdict, shown.reason) == ("demonstrated", "fine-tuning beats scratch")
    broken = one([claim(exact(1e-9), handling="demonstration")], records)[0]
    assert broken.verdict == "contradicted"


def test_an_identity_is_a_precondition_that_adds_nothing(rule, claim, record, pairs, exactly, one):
    def entry(bound):
        tolerance = Tolerance(op="<=", value=bound)
        identity = rule(kind="deterministic", tolerance=tolerance, treatment="identity", control=None)
        return claim(identity, rule())

    identity = [record(arm="identity", value=1e-7)]
    nothing = pairs(exactly(0.0, 0.02))
    assert one([entry(1e-5)], identity, nothing)[0].verdict == "inconclusive"
    assert one([entry(1e-5)], identity, pairs(exactly(0.1, 0.02)))[0].verdict == "supported"
    assert one([entry(1e-9)], identity, pairs(exactly(0.1, 0.02)))[0].verdict == "contradicted"
    assert one([entry(1e-5)], pairs(exactly(0.1, 0.02), metric="auroc"))[0].verdict == "inconclusive"


@pytest.mark.parametrize("seeds", [1, 2, 3, 4])
def test_fewer_than_five_seeds_are_inconclusive_and_counted(judge, rule, pairs, exactly, seeds):
    result = judge(rule(), to_frame(pairs(exactly(0.1, 0.001, seeds) if seeds > 1 else [0.1])))
    assert result.verdict == "inconclusive"
    assert f"{seeds} seeds" in result.reason or f"{seeds} paired seed" in result.reason


def test_seeds_that_all_agree_are_no_test(judge, rule, pairs):
    result = judge(rule(), to_frame(pairs([0.1] * 5)))
    assert result.verdict == "inconclusive"
    assert "all 5 seeds agree" in result.reason


def test_dropped_seeds_are_told(judge, rule, pairs, exactly):
    records = [r for r in pairs(exactly(0.1, 0.01, 7)) if not (r.arm == "scratch" and r.seed < 2)]
    assert "2 seeds excluded" in judge(rule(), to_frame(records)).reason


def strata(pairs, effects, exactly, **fields):
    return [r for n, mean in effects.items() for r in pairs(exactly(mean, 0.004), factors={"n": n}, **fields)]


def test_a_conjunction_fails_where_one_stratum_does(judge, rule, pairs, exactly):
    records = to_frame(strata(pairs, {64: 0.1, 128: 0.1, 256: 0.0}, exactly))
    result = judge(rule(by=["n"], margin=0.02), records)
    assert result.verdict == "not supported"
    assert "supported on n = 64, n = 128; not supported on n = 256" in result.reason
    assert judge(rule(by=["n"], margin=0.02, combine="majority"), records).verdict == "supported"
    assert judge(rule(by=["n"], margin=0.02, combine="any"), records).verdict == "supported"


def test_words_over_data_sets(rule, claim, pairs, exactly, one):
    def entry(chest):
        here = pairs(exactly(0.1, 0.01))
        return one([claim(rule(margin=0.02))], here, pairs(chest, dataset="chest"))[0]

    assert entry(exactly(0.1, 0.01)).verdict == "supported"
    open_there = entry(exactly(0.02, 0.05))
    assert open_there.verdict == "partly supported"
    assert open_there.reason == "supported on breastmnist; inconclusive on chest"
    assert entry(exactly(0.0, 0.01)).verdict == "mixed"
    other_way = entry(exactly(-0.1, 0.01))
    assert (other_way.verdict, other_way.parts["chest"]) == ("mixed", "contradicted")


def test_only_the_scope_decides(rule, claim, pairs, exactly, one):
    here, there = pairs(exactly(0.1, 0.01)), pairs(exactly(-0.1, 0.01), dataset="chest")
    for scope, verdict in ((["breastmnist"], "supported"), (["chest"], "contradicted")):
        found = one([claim(rule(), scope=scope)], here, there)[0]
        assert found.verdict == verdict
        assert list(found.parts) == scope
        datasets = found.rules[0].datasets
        assert [name for name, d in datasets.items() if d.decides] == scope
        assert set(datasets) == {"breastmnist", "chest"}
    # a data set of the scope that was not measured leaves the whole open, and says so
    waiting = one([claim(rule(), scope=["breastmnist", "unmeasured"])], here)[0]
    assert waiting.verdict == "partly supported"
    elsewhere = one([claim(rule(), scope=["unmeasured"])], here)[0]
    assert (elsewhere.verdict, elsewhere.reason) == (
        "pending", "measured on breastmnist only; decided on unmeasured",
    )  # fmt: skip
    made = one([claim(rule(), scope=["drawn"])], pairs(exactly(0.1, 0.01), dataset="drawn", synthetic=True))[
        0
    ]
    assert (made.verdict, made.reason) == (
        "pending", "measured on made-up data (drawn) only, which decide nothing here",
    )  # fmt: skip


def test_existence_needs_one_place_and_is_never_contradicted(rule, claim, pairs, exactly, one):
    exists = claim(rule(kind="existence"))
    here, opposite = pairs(exactly(0.1, 0.01)), pairs(exactly(-0.1, 0.01), dataset="chest")
    assert one([exists], here, opposite)[0].verdict == "supported"
    assert one([exists], opposite)[0].verdict == "not supported"
    assert one([exists], opposite, pairs(exactly(0.0, 0.1)))[0].verdict == "inconclusive"


@pytest.mark.parametrize("name", ["phantoms_colour", "digital_phantoms", "simulated", "known_bayes", "toy"])
def test_synthetic_data_do_not_count_for_medical_images(judge, word, rule, pairs, exactly, name):
    phantoms = pairs(exactly(0.1, 0.01), dataset=name, synthetic=True)
    result = judge(rule(), to_frame(phantoms))
    assert result.verdict == "pending"
    assert result.datasets[name].verdict == "supported"
    assert not result.datasets[name].eligible
    assert word(rule(), phantoms, synthetic_is_evidence=True) == "supported"
    assert word(rule(), phantoms + pairs(exactly(-0.1, 0.01))) == "contradicted"


def test_what_a_data_set_is_called_does_not_matter(word, rule, pairs, exactly):
    assert word(rule(), pairs(exactly(0.1, 0.01), dataset="phantoms_of_patients")) == "supported"


def test_a_rule_about_images_in_an_entry_about_a_method_does_not_count_phantoms(
    rule, claim, pairs, exactly, one
):
    phantoms = pairs(exactly(0.1, 0.01), dataset="phantoms_colour", synthetic=True)
    of_images = rule(population="medical_images")
    for asked, verdict in ((rule(), "supported"), (of_images, "pending")):
        assert one([claim(asked, population="method")], phantoms)[0].verdict == verdict
    assert of_images.version != rule().version


def test_the_strong_reading_is_said_and_does_not_touch_the_word(rule, claim, pairs, exactly, one):
    def entry(effect, sd=0.005):
        weak, strong = rule(reading="weak"), rule(reading="strong", margin=0.08)
        found = one([claim(weak, strong)], pairs(exactly(effect, sd)))[0]
        return found.verdict, found.strong

    assert entry(0.1) == ("supported", "supported")
    assert entry(0.05) == ("supported", "not supported")
    assert entry(0.079, 0.01) == ("supported", "inconclusive")
    assert entry(-0.1) == ("contradicted", "contradicted")
    assert one([claim(rule(reading="strong"))], pairs(exactly(0.1, 0.005)))[0].verdict == "supported"


def test_a_contradicted_strong_reading_is_said_where_the_weak_one_is_open(rule, claim, pairs, exactly, one):
    weak, strong = rule(reading="weak"), rule(reading="strong", metric="accuracy")
    found = one(
        [claim(weak, strong)], pairs(exactly(0.0, 0.05)), pairs(exactly(-0.1, 0.01), metric="accuracy")
    )[0]
    assert (found.verdict, found.strong) == ("inconclusive", "contradicted")


def test_several_rules_of_a_reading_must_all_hold(rule, claim, pairs, exactly, one):
    both = claim(rule(), rule(metric="accuracy", margin=0.02, hypothesis="and accuracy too"))
    clear = pairs(exactly(0.1, 0.005))
    assert one([both], clear, pairs(exactly(0.0, 0.005), metric="accuracy"))[0].verdict == "not supported"
    assert one([both], clear, pairs(exactly(0.03, 0.05), metric="accuracy"))[0].verdict == "inconclusive"
    assert one([both], clear)[0].verdict == "inconclusive"
    assert one([both], clear, pairs(exactly(0.1, 0.005), metric="accuracy"))[0].verdict == "supported"


def test_words_without_measurement(rule, claim, registered):
    cited = claim(handling="literature", source="Raghu 2019")
    corrected = claim(id="C033", handling="correction", correction="it is the other way round")
    impossible = claim(id="C002", not_testable="ImageNet's test labels are secret")
    waiting, unmeasured = claim(id="C007"), claim(rule(), id="C008")
    verdicts = judge_entries(registered(cited, corrected, impossible, waiting, unmeasured), {})
    assert [v.verdict for v in verdicts] == [
        "literature only", "literature only", "not testable here", "pending", "pending",
    ]  # fmt: skip
    assert verdicts[0].reason == "Raghu 2019"
    assert verdicts[4].reason == "not measured in this run"


def test_the_family_is_what_the_register_holds_not_what_was_run(rule, claim, pairs, exactly, one, registered):
    effect = pairs(exactly(0.0277, 0.02))  # one-sided p .018
    p = stats.ttest_1samp(exactly(0.0277, 0.02), 0, alternative="greater").pvalue
    alone = one([claim(rule())], effect)[0]
    assert (alone.verdict, alone.p_adjusted) == ("supported", pytest.approx(p, rel=1e-3))
    others = [claim(rule(metric="ece"), id="C018"), claim(rule(metric="brier"), id="C019")]
    family = one([claim(rule()), *others], effect)[0]
    assert (family.verdict, family.factor) == ("inconclusive", 3)
    assert family.p_adjusted == pytest.approx(3 * p, rel=1e-3)
    places = [(name, metric) for name in "abc" for metric in ("auroc", "ece")]
    noise = [r for name, metric in places for r in pairs(exactly(0, 0.02), metric=metric, dataset=name)]
    scoped = [claim(rule(), scope=["breastmnist"]), *others]
    assert one(scoped, effect)[0].p_adjusted == one(scoped, effect, noise)[0].p_adjusted
    elsewhere = [claim(rule()), claim(rule(metric="ece"), id="C018", notebook="01_cnn_basics")]
    assert judge_entries(registered(*elsewhere), {NOTEBOOK: to_frame(effect)})[0].verdict == "supported"


def test_identities_and_demonstrations_are_in_no_family(rule, claim, record, pairs, exactly, one):
    tolerance = Tolerance(op="<=", value=1.0)
    identity = rule(kind="deterministic", tolerance=tolerance, treatment="identity", control=None)
    others = [claim(identity, id="C018"), claim(rule(metric="ece"), id="C019", handling="demonstration")]
    found = one([claim(rule()), *others], pairs(exactly(0.0277, 0.02)), [record(arm="identity", value=0.0)])
    assert [(v.verdict, v.factor) for v in found] == [("supported", 1), ("demonstrated", 1), ("pending", 1)]


def test_what_could_have_been_found_is_told_at_its_level(judge, rule, pairs, exactly, claim, one):
    records = pairs(exactly(0.0, 0.02))
    se = 0.02 / 5**0.5

    def effect(level):
        grid = np.linspace(0, 0.3, 30001)
        return grid[np.argmax(stats.nct.sf(stats.t.isf(level, 4), 4, grid / se) >= 0.8)]

    assert f"effect of {effect(0.025):.2g} would have been found" in judge(rule(), to_frame(records)).reason
    others = [claim(rule(metric=m), id=i) for m, i in (("ece", "C018"), ("brier", "C019"))]
    found = one([claim(rule()), *others], records)[0]
    assert f"effect of {effect(0.025 / 3):.2g} would have been found" in found.rules[0].reason


def test_a_rule_that_does_not_fit_its_study_names_the_entry(rule, claim, pairs, one):
    with pytest.raises(MedtlError, match=r"entry C006, main reading: .*'size'"):
        one([claim(rule(by=["size"]))], pairs([0.1] * 5))
