"""A sentence with its numbers, for each word."""

import pytest

from medtl_core.evidence.record import to_frame
from medtl_core.evidence.rule import Tolerance
from medtl_core.evidence.sentence import sentence_of
from medtl_core.evidence.verdict import judge_entries

WORDS = {
    "full": "fine-tuning",
    "scratch": "training from scratch",
    "breastmnist": "breast ultrasound",
}


@pytest.fixture
def said(registered):
    def say(entry, *records):
        frame = to_frame([r for group in records for r in group])
        return sentence_of(judge_entries(registered(entry), {"02_fine_tuning": frame})[0], WORDS)

    return say


def test_what_was_compared_where_by_how_much_and_how_sure(said, claim, rule, pairs, exactly):
    assert said(claim(rule()), pairs(exactly(0.1, 0.01))) == (
        "AUROC of fine-tuning minus training from scratch: +.10 [+.09, +.11] on breast ultrasound (5 seeds). "
        "This supports the statement (p < .001 after Holm's correction)."
    )


@pytest.mark.parametrize(
    ("effect", "margin", "end"),
    [
        (-0.1, 0.005, "The opposite of the statement is shown."),
        (0.0, 0.05, "The effect falls short of the smallest one that the statement needs."),
        (
            0.0,
            0.005,
            "only an effect of .017 or more would have been found with a power of 80 %; one of .005, the "
            "smallest that matters, would take about 34 seeds on breast ultrasound.",
        ),
    ],
)
def test_what_it_means(said, claim, rule, pairs, exactly, effect, margin, end):
    assert said(claim(rule(margin=margin)), pairs(exactly(effect, 0.01))).endswith(end)


def test_a_study_that_was_large_enough_is_not_told_to_grow(said, claim, rule, pairs, exactly):
    open_still = pairs(exactly(0.0049, 0.001))
    assert "would take" not in said(claim(rule(margin=0.005)), open_still)


def test_a_number_that_is_named_has_no_smallest_effect_beyond_it(said, claim, rule, pairs, exactly):
    named = claim(rule(kind="at_least", margin=0.1))
    assert said(named, pairs(exactly(0.1, 0.01))).endswith("would have been found with a power of 80 %.")


def test_large_effects_are_whole_numbers_with_thousands(said, claim, rule, pairs, exactly):
    open_still = said(
        claim(rule(metric="seconds", margin=1.0)), pairs(exactly(100.0, 1500.0), metric="seconds")
    )
    effect = float(open_still.split("only an effect of ")[1].split(" or more")[0].replace(",", ""))
    assert "e+" not in open_still
    assert effect > 1500


def test_data_sets_that_disagree_are_named(said, claim, rule, pairs, exactly):
    here, there = pairs(exactly(0.1, 0.01)), pairs(exactly(-0.1, 0.01), dataset="chest")
    assert "it holds on breast ultrasound and not on chest." in said(claim(rule()), here, there)
    noise = pairs(exactly(0.0, 0.1), dataset="chest")
    assert said(claim(rule()), here, noise).endswith("on breast ultrasound; elsewhere it is open.")


def test_domains_of_one_data_set_are_told_apart(said, claim, rule, pairs, exactly):
    found = [
        pairs(exactly(effect, 0.01), source_domain=place, target_domain=place)
        for place, effect in (("here", 0.1), ("there", 0.2))
    ]
    sentence = said(claim(rule()), *found)
    assert "on breast ultrasound, here (5 seeds)" in sentence
    assert "+.20 [+.19, +.21] on breast ultrasound, there (5 seeds)" in sentence
    assert "on breast ultrasound (5 seeds)" in said(claim(rule()), found[0])


@pytest.mark.parametrize(
    ("places", "end"),
    [
        (4, "on place 3 (5 seeds)."),
        (5, "on place 3 (5 seeds); and at one more place."),
        (7, "on place 3 (5 seeds); and at 3 more places."),
    ],
)
def test_four_places_are_told_and_the_others_counted(said, claim, rule, pairs, exactly, places, end):
    scope = [f"place {k}" for k in range(places)]
    found = [pairs(exactly(0.1, 0.01), dataset=name) for name in scope]
    assert said(claim(rule(), scope=scope), *found).split(" This supports")[0].endswith(end)


def test_the_strong_reading_and_the_reason_why_it_is_open(said, claim, rule, pairs, exactly):
    both = claim(rule(reading="weak"), rule(reading="strong", margin=0.5), strong_word="prevents")
    assert said(both, pairs(exactly(0.1, 0.01))).endswith("Its strong reading ('prevents') is not supported.")
    assert "open: 3 seeds, at least 5 needed" in said(claim(rule()), pairs(exactly(0.1, 0.01, 3)))


def test_a_slope_names_its_step(said, claim, rule, record):
    rows = [
        record(arm="full", seed=s, factors={"n": n}, value=0.6 + 0.05 * k + 0.001 * s * k)
        for k, n in enumerate((16, 32, 64, 128)) for s in range(5)
    ]  # fmt: skip
    asked = rule(kind="trend", trend={"factor": "n", "scale": "log2"}, control=None)
    assert said(claim(asked), rows).startswith("Change of AUROC per doubling of n, fine-tuning: +.05")


def test_nothing_is_said_of_what_was_not_measured(said, claim, rule, record):
    assert said(claim(rule(study="other")), [record()]) == ""
    tolerance = Tolerance(op="<=", value=1.0)
    identity = rule(kind="deterministic", tolerance=tolerance, treatment="full", control=None)
    shown = claim(identity, handling="demonstration")
    assert said(shown, [record(value=0.5)]) == "Fine-tuning beats scratch."


def test_what_of_the_scope_is_missing_is_named(said, claim, rule, pairs, exactly):
    entry = claim(rule(), scope=["breastmnist", "chest"])
    said_of_it = said(entry, pairs(exactly(0.0, 0.01)))
    assert said_of_it.endswith("leaves the statement open: not measured on chest.")


def test_a_difference_of_logarithms_is_told_as_a_factor(said, claim, rule, pairs, exactly):
    asked = claim(rule(metric="log2_seconds", direction="lower", margin=1.0))
    records = pairs(exactly(-4.0, 0.1), metric="log2_seconds")
    assert said(asked, records).startswith(
        "Training time of fine-tuning relative to training from scratch: × .062 [.0"
    )
    wide = pairs(exactly(0.0, 2.0), metric="log2_seconds")
    assert "only an effect of a factor of " in said(asked, wide)


def test_a_stratum_is_told_in_words(said, claim, rule, pairs, exactly):
    asked = claim(rule(by=["n"]))
    told = said(asked, pairs(exactly(0.1, 0.01), factors={"n": 64}))
    assert "on breast ultrasound, n = 64 (5 seeds)" in told


ENOUGH = "One such case is enough, so this supports the statement (p < .001 after Holm's correction)."


def test_where_one_of_several_data_sets_is_enough_the_sentence_says_so(said, claim, rule, pairs, exactly):
    exists = rule(kind="existence")
    here, there = pairs(exactly(0.1, 0.01)), pairs(exactly(-0.1, 0.01), dataset="chest")
    assert said(claim(exists, scope=["breastmnist", "chest"]), here, there).endswith(ENOUGH)
    assert "One such case" not in said(claim(exists), here)
    assert "One such case" not in said(claim(rule()), here, pairs(exactly(0.1, 0.01), dataset="chest"))


def test_where_one_of_several_strata_is_enough_the_sentence_says_so(said, claim, rule, pairs, exactly):
    few, many = (pairs(exactly(effect, 0.01), factors={"n": n}) for n, effect in ((16, 0.1), (64, -0.1)))
    assert said(claim(rule(by=["n"], combine="any")), few, many).endswith(ENOUGH)


def test_what_stands_in_for_something_else_ends_the_sentence(said, claim, rule, record, pairs, exactly):
    entry = claim(rule(), proxy="ultrasound stands in for X-rays")
    assert said(entry, pairs(exactly(0.1, 0.01))).endswith("correction). Ultrasound stands in for X-rays.")
    assert said(entry) == ""
    tolerance = Tolerance(op="<=", value=1.0)
    identity = rule(kind="deterministic", tolerance=tolerance, treatment="full", control=None)
    shown = claim(identity, handling="demonstration", proxy="only on paper")
    assert said(shown, [record(value=0.5)]) == "Fine-tuning beats scratch. Only on paper."


@pytest.mark.parametrize(
    ("where", "said_so"),
    [
        ({"n": {"max": 64}}, "(n: up to 64)"),
        ({"n": {"min": 16, "max": 64}}, "(n: from 16 up to 64)"),
        ({"n": [16, 64]}, "(n: 16, 64)"),
        ({"n": 16}, "(n: 16)"),
    ],
)
def test_the_levels_that_a_rule_is_restricted_to_are_named(said, claim, rule, pairs, exactly, where, said_so):
    records = pairs(exactly(0.1, 0.01), factors={"n": 16})
    assert f"minus training from scratch {said_so}: +.10" in said(claim(rule(where=where)), records)


class NoPredictions:
    """A run that kept none."""

    def resamples(self, metric):
        return True

    def interval(self, contrast):
        return None


def test_an_interval_over_seeds_alone_is_called_that(registered, claim, rule, pairs, exactly):
    frame = to_frame(pairs(exactly(0.1, 0.01), n_test=200))
    judged = judge_entries(registered(claim(rule())), {"02_fine_tuning": frame}, NoPredictions())[0]
    assert "(5 seeds, 200 test images, interval over seeds alone)" in sentence_of(judged, WORDS)
