"""Every word, reached from records; and what tips one word into another."""

import numpy as np
import pytest

from medtl_core.errors import MedtlError
from medtl_core.evaluation.statistics import detectable_effect
from medtl_core.evidence.record import to_frame
from medtl_core.evidence.verdict import judge, judge_entries


def word(rule, records, **evidence):
    return judge(rule, to_frame(records), **evidence).verdict


def test_superiority_says_each_word(rule, pairs, exactly):
    assert word(rule(), pairs(exactly(0.05, 0.02))) == "supported"
    assert word(rule(), pairs(exactly(-0.05, 0.02))) == "contradicted"
    assert word(rule(direction="lower"), pairs(exactly(-0.05, 0.02))) == "supported"
    assert word(rule(direction="lower"), pairs(exactly(0.05, 0.02))) == "contradicted"
    assert word(rule(margin=0.05), pairs(exactly(0.0, 0.02))) == "not supported"
    assert word(rule(), pairs(exactly(0.0, 0.02))) == "inconclusive"


def test_an_interval_that_holds_0_is_not_blamed_on_the_correction(rule, pairs, exactly):
    reason = judge(rule(), to_frame(pairs(exactly(0.01, 0.02)))).reason
    assert "could have been detected" in reason
    assert "Holm" not in reason


def test_an_effect_that_is_surely_small_is_not_supported(rule, pairs, exactly):
    result = judge(rule(margin=0.01), to_frame(pairs(exactly(0.005, 0.001))))
    assert result.verdict == "not supported"
    assert "smaller than the smallest effect" in result.reason
    assert word(rule(margin=0.01), pairs(exactly(-0.005, 0.001))) == "not supported"


def test_an_effect_that_may_or_may_not_matter_is_inconclusive(rule, pairs, exactly):
    assert word(rule(margin=0.01), pairs(exactly(0.008, 0.004))) == "inconclusive"


def test_not_supported_needs_that_the_effect_was_detectable(rule, pairs, exactly):
    detectable = detectable_effect(0.02, 5)
    seeds = exactly(0.01, 0.02)
    assert detectable < 0.01 + 2.776 * 0.02 / 5**0.5
    assert word(rule(margin=detectable * 1.001), pairs(seeds)) == "not supported"
    result = judge(rule(margin=detectable * 0.999), to_frame(pairs(seeds)))
    assert result.verdict == "inconclusive"
    assert f"{detectable:.2g} could have been detected" in result.reason


def test_a_metric_moved_by_its_margin_tips_the_word_every_time(rule, pairs):
    rng = np.random.default_rng(3)
    for _ in range(30):
        noise = rng.normal(0, 0.0005, 6)
        noise -= noise.mean()
        assert word(rule(margin=0.01), pairs(0.015 + noise)) == "supported"
        assert word(rule(margin=0.01), pairs(0.015 - 0.01 + noise)) != "supported"
        equal = rule(kind="equivalence", margin=0.01)
        assert word(equal, pairs(0.005 + noise)) == "supported"
        assert word(equal, pairs(0.005 + 0.01 + noise)) == "contradicted"


def test_equivalence_says_each_word(rule, pairs, exactly):
    equal = rule(kind="equivalence", margin=0.01)
    assert word(equal, pairs(exactly(0.002, 0.003))) == "supported"
    assert word(equal, pairs(exactly(-0.03, 0.003))) == "contradicted"
    assert word(equal, pairs(exactly(0.009, 0.003))) == "not supported"
    assert word(equal, pairs(exactly(0.0, 0.05))) == "inconclusive"


def test_non_inferiority_says_each_word(rule, pairs, exactly):
    higher = rule(kind="non_inferiority", margin=0.01)
    assert word(higher, pairs(exactly(0.05, 0.003))) == "supported"
    assert word(higher, pairs(exactly(-0.005, 0.003))) == "supported"
    assert word(higher, pairs(exactly(-0.03, 0.003))) == "contradicted"
    assert word(higher, pairs(exactly(-0.009, 0.003))) == "not supported"
    assert word(higher, pairs(exactly(0.0, 0.05))) == "inconclusive"
    lower = rule(kind="non_inferiority", margin=0.01, direction="lower")
    assert word(lower, pairs(exactly(-0.05, 0.003))) == "supported"
    assert word(lower, pairs(exactly(0.03, 0.003))) == "contradicted"


def test_identities_say_supported_or_contradicted(rule, record):
    def exact(bound):
        tolerance = {"op": "<=", "value": bound}
        return rule(kind="deterministic", tolerance=tolerance, treatment="identity", control=None)

    records = [record(arm="identity", value=1e-7)]
    assert word(exact(1e-5), records) == "supported"
    assert word(exact(1e-9), records) == "contradicted"
    phantoms = [record(arm="identity", value=1e-7, dataset="phantoms", synthetic=True)]
    assert word(exact(1e-5), phantoms, synthetic_is_evidence=True) == "supported"


@pytest.mark.parametrize("seeds", [1, 2, 3, 4])
def test_fewer_than_five_seeds_are_inconclusive_and_counted(rule, pairs, seeds):
    result = judge(rule(), to_frame(pairs([0.1] * seeds)))
    assert result.verdict == "inconclusive"
    assert f"{seeds} paired seed" in result.reason
    assert word(rule(), pairs([0.1] * 5)) == "supported"
    assert word(rule(min_seeds=10), pairs([0.1] * 9)) == "inconclusive"


def test_dropped_seeds_are_told(rule, pairs):
    records = [r for r in pairs([0.1] * 7) if not (r.arm == "scratch" and r.seed < 2)]
    assert "2 seeds excluded" in judge(rule(), to_frame(records)).reason


def strata(pairs, effects, exactly, **fields):
    return [r for n, mean in effects.items() for r in pairs(exactly(mean, 0.004), factors={"n": n}, **fields)]


def test_a_split_over_strata_is_a_condition_that_names_them(rule, pairs, exactly):
    records = strata(pairs, {64: 0.1, 128: 0.1, 256: 0.0}, exactly)
    result = judge(rule(by=["n"], margin=0.02), to_frame(records))
    assert result.verdict == "supported with conditions"
    assert "supported on n = 64, n = 128; not supported on n = 256" in result.reason
    assert word(rule(by=["n"], margin=0.02, combine="majority"), records) == "supported"
    assert word(rule(by=["n"], margin=0.02, combine="any"), records) == "supported"
    everywhere = strata(pairs, {64: 0.1, 128: 0.1, 256: 0.1}, exactly)
    assert word(rule(by=["n"]), everywhere) == "supported"


def test_a_split_over_data_sets_is_a_condition_that_names_them(rule, pairs, exactly):
    records = pairs(exactly(0.1, 0.01)) + pairs(exactly(-0.1, 0.01), dataset="chest")
    result = judge(rule(), to_frame(records))
    assert result.verdict == "supported with conditions"
    assert "supported on breastmnist" in result.reason
    assert "contradicted on chest" in result.reason
    assert result.datasets["chest"].verdict == "contradicted"


def test_what_could_have_been_detected_is_told_for_several_places(rule, pairs, exactly):
    records = pairs(exactly(0.0, 0.02)) + pairs(exactly(0.0, 0.04), dataset="chest")
    reason = judge(rule(), to_frame(records)).reason
    assert reason.startswith("inconclusive on breastmnist, chest")
    assert f"an effect of {detectable_effect(0.04, 5):.2g} could have been detected" in reason
    levels = strata(pairs, {64: 0.0, 128: 0.0}, exactly)
    assert "could have been detected" in judge(rule(by=["n"], margin=0.001), to_frame(levels)).reason
    few = pairs([0.1] * 3) + pairs([0.1] * 3, dataset="chest")
    assert judge(rule(), to_frame(few)).reason.endswith("(3 paired seeds, at least 5 needed)")


def test_existence_needs_one_place_and_is_never_contradicted(rule, pairs, exactly):
    exists = rule(kind="existence")
    here, opposite = pairs(exactly(0.1, 0.01)), pairs(exactly(-0.1, 0.01), dataset="chest")
    assert word(exists, here + opposite) == "supported"
    assert word(exists, opposite) == "not supported"
    assert word(exists, opposite + pairs(exactly(0.0, 0.1))) == "inconclusive"


@pytest.mark.parametrize("name", ["phantoms_colour", "digital_phantoms", "simulated", "known_bayes", "toy"])
def test_synthetic_data_are_judged_and_do_not_count_for_medical_images(rule, pairs, exactly, name):
    phantoms = pairs(exactly(0.1, 0.01), dataset=name, synthetic=True)
    result = judge(rule(), to_frame(phantoms))
    assert result.verdict == "inconclusive"
    assert "synthetic data only" in result.reason
    assert result.datasets[name].verdict == "supported"
    assert word(rule(), phantoms, synthetic_is_evidence=True) == "supported"
    assert word(rule(), phantoms + pairs(exactly(-0.1, 0.01))) == "contradicted"


def test_what_a_data_set_is_called_does_not_matter(rule, pairs, exactly):
    assert word(rule(), pairs(exactly(0.1, 0.01), dataset="phantoms_of_patients")) == "supported"


def test_a_rule_about_images_in_an_entry_about_a_method_does_not_count_phantoms(
    rule, claim, registered, pairs, exactly
):
    phantoms = to_frame(pairs(exactly(0.1, 0.01), dataset="phantoms_colour", synthetic=True))
    of_images = rule(population="medical_images")
    for asked, verdict in ((rule(), "supported"), (of_images, "inconclusive")):
        register = registered(claim(asked, population="method"))
        assert judge_entries(register, {"02_fine_tuning": phantoms})[0].verdict == verdict
    assert of_images.version != rule().version


def test_a_split_over_both_names_data_sets_and_strata(rule, pairs, exactly):
    here = strata(pairs, {64: 0.1, 128: 0.0}, exactly)
    there = strata(pairs, {64: 0.1, 128: 0.1}, exactly, dataset="chest")
    result = judge(rule(by=["n"], margin=0.02), to_frame(here + there))
    assert result.verdict == "supported with conditions"
    assert "breastmnist: supported on n = 64; not supported on n = 128" in result.reason
    assert "chest: supported on n = 64, n = 128" in result.reason


def test_a_condition_of_the_rule_is_kept(rule, pairs, exactly):
    conditional = rule(condition="only up to 256 images")
    result = judge(conditional, to_frame(pairs(exactly(0.1, 0.01))))
    assert result.verdict == "supported with conditions"
    assert "only up to 256 images" in result.reason
    assert word(conditional, pairs(exactly(-0.1, 0.01))) == "contradicted"


@pytest.fixture
def one(registered):
    return lambda claims, records: judge_entries(registered(*claims), {"02_fine_tuning": to_frame(records)})


def test_the_weak_reading_decides_and_the_strong_one_conditions(rule, claim, pairs, exactly, one):
    weak, strong = rule(reading="weak"), rule(reading="strong", margin=0.08)
    verdict = one([claim(weak, strong)], pairs(exactly(0.05, 0.005)))[0]
    assert verdict.verdict == "supported with conditions"
    assert "weak reading" in verdict.reason
    assert "strong reading is not supported" in verdict.reason
    assert one([claim(weak, strong)], pairs(exactly(0.1, 0.005)))[0].verdict == "supported"
    assert one([claim(weak, strong)], pairs(exactly(-0.1, 0.005)))[0].verdict == "contradicted"
    assert one([claim(strong)], pairs(exactly(0.1, 0.005)))[0].verdict == "supported"


def test_several_rules_of_a_reading_must_all_hold(rule, claim, pairs, exactly, one):
    records = pairs(exactly(0.1, 0.005)) + pairs(exactly(0.0, 0.005), metric="accuracy")
    both = claim(rule(), rule(metric="accuracy", margin=0.02, hypothesis="and accuracy too"))
    verdict = one([both], records)[0]
    assert verdict.verdict == "supported with conditions"
    assert "and accuracy too: not supported" in verdict.reason


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
    assert verdicts[1].reason == "it is the other way round"
    assert verdicts[2].reason == "ImageNet's test labels are secret"


def test_a_correction_with_rules_is_judged(rule, claim, pairs, exactly, one):
    corrected = claim(rule(), handling="correction", correction="stronger than its sources")
    assert one([corrected], pairs(exactly(0.1, 0.01)))[0].verdict == "supported"


def test_holm_makes_a_family_of_a_notebook(rule, claim, pairs, exactly, one, registered):
    # p is .03 for one rule alone: the family of three needs .0167 for its smallest.
    weak_effect = pairs(exactly(0.0277, 0.02))
    alone = one([claim(rule())], weak_effect)[0]
    assert alone.verdict == "supported"
    p = alone.rules[0].datasets["breastmnist"].strata[0].p_adjusted
    assert 0.02 < p < 0.05
    nothing = [r for m in ("ece", "brier") for r in pairs(exactly(0.0, 0.02), metric=m)]
    claims = [claim(rule()), claim(rule(metric="ece"), id="C018"), claim(rule(metric="brier"), id="C019")]
    family = one(claims, weak_effect + nothing)
    assert family[0].verdict == "inconclusive"
    assert "Holm" in family[0].reason
    assert family[0].rules[0].datasets["breastmnist"].strata[0].p_adjusted == pytest.approx(3 * p)
    elsewhere = [claim(rule()), claim(rule(metric="ece"), id="C018", notebook="01_cnn_basics")]
    frames = {"02_fine_tuning": to_frame(weak_effect), "01_cnn_basics": to_frame(nothing)}
    assert judge_entries(registered(*elsewhere), frames)[0].verdict == "supported"


@pytest.mark.parametrize(
    ("kind", "effect", "margin"),
    [("non_inferiority", 0.0077, 0.02), ("equivalence", 0.0, 0.0265)],
)
def test_an_interval_inside_the_margin_that_holm_takes_back_says_so(
    rule, claim, pairs, exactly, kind, effect, margin, one
):
    inside = pairs(exactly(effect, 0.02))
    asked = claim(rule(kind=kind, margin=margin))
    assert one([asked], inside)[0].verdict == "supported"
    nothing = [r for m in ("ece", "brier") for r in pairs(exactly(0.0, 0.02), metric=m)]
    others = [claim(rule(metric="ece"), id="C018"), claim(rule(metric="brier"), id="C019")]
    family = one([asked, *others], inside + nothing)
    assert family[0].verdict == "inconclusive"
    assert "Holm" in family[0].reason


def test_what_was_not_tested_is_not_in_the_family(rule, claim, pairs, exactly, one):
    few = pairs([0.0, 0.1], metric="ece")
    claims = [claim(rule()), claim(rule(metric="ece"), id="C018")]
    assert one(claims, pairs(exactly(0.0277, 0.02)) + few)[0].verdict == "supported"


def test_a_rule_that_does_not_fit_its_study_names_the_entry(rule, claim, pairs, one):
    with pytest.raises(MedtlError, match=r"entry C006, main reading: .*'size'"):
        one([claim(rule(by=["size"]))], pairs([0.1] * 5))
