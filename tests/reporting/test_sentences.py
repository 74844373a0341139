"""Sentences from records: they say what is seen, and no more."""

import pytest

from medtl_core.evaluation.rounding import decimals_for, number
from medtl_core.reporting import reference
from medtl_core.reporting.sentences import arm_sentence, difference_sentence, in_both_runs

LABELS = {"full": "fine-tuning", "scratch": "training from scratch"}


def test_higher(frame, pairs, exactly):
    # Mean .13, standard deviation .0322: t(4, .975) = 2.776, so that the half-width is .04.
    records = frame(pairs(exactly(0.13, 0.0322)))
    assert difference_sentence(records, "full", "scratch", "auroc", labels=LABELS) == (
        "Fine-tuning reached an AUROC .13 higher than training from scratch "
        "(95 % interval .09 to .17, 5 seeds)."
    )


def test_lower_and_the_ends_stand_in_order(frame, pairs, exactly):
    records = frame(pairs(exactly(-0.13, 0.0322)))
    assert difference_sentence(records, "full", "scratch", "auroc", labels=LABELS) == (
        "Fine-tuning reached an AUROC .13 lower than training from scratch "
        "(95 % interval .09 to .17, 5 seeds)."
    )


def test_no_clear_difference(frame, pairs, exactly):
    records = frame(pairs(exactly(0.02, 0.0322)))
    assert difference_sentence(records, "full", "scratch", "auroc", labels=LABELS) == (
        "Fine-tuning and training from scratch show no clear difference in AUROC: +.02 "
        "(95 % interval −.02 to .06, 5 seeds)."
    )


def test_an_interval_that_just_holds_zero_is_not_clear(frame, pairs, exactly):
    records = frame(pairs(exactly(0.039, 0.0322)))
    assert "no clear difference in AUROC: +.04 (95 % interval .00 to .08" in difference_sentence(
        records, "full", "scratch", "auroc"
    )


def test_where_lower_is_better_it_is_said(frame, pairs, exactly):
    records = frame(pairs(exactly(0.13, 0.0322), metric="ece", direction="lower"))
    assert difference_sentence(records, "full", "scratch", "ece", labels=LABELS) == (
        "Fine-tuning had an expected calibration error .13 higher than training from scratch "
        "(95 % interval .09 to .17, 5 seeds), where lower is better."
    )


def test_an_end_near_zero_is_not_rounded_to_it(frame, pairs, exactly):
    records = frame(pairs(exactly(0.0405, 0.0322)))
    assert "(95 % interval .0005 to .0805, 5 seeds)" in difference_sentence(
        records, "full", "scratch", "auroc"
    )


def test_one_seed_claims_no_interval(frame, pairs):
    assert difference_sentence(frame(pairs([0.13])), "full", "scratch", "auroc", labels=LABELS) == (
        "In the one seed measured, fine-tuning reached an AUROC .13 higher than training from scratch; "
        "one seed gives no interval."
    )


def test_equal_arms(frame, pairs):
    assert difference_sentence(frame(pairs([0.0, 0.0])), "full", "scratch", "auroc") == (
        "Full and scratch had the same AUROC in all 2 seeds."
    )


def test_what_was_not_measured(frame, pairs):
    assert difference_sentence(frame(pairs([0.1, 0.2])), "medical", "scratch", "auroc", labels=LABELS) == (
        "Medical and training from scratch cannot be compared in AUROC: medical was not measured."
    )


def test_seeds_left_out_are_said(record):
    records = [record(arm="full", seed=s, value=0.9 + s / 100) for s in (0, 1, 2)]
    records += [record(arm="scratch", seed=s, value=0.5) for s in (0, 1)]
    assert difference_sentence(records, "full", "scratch", "auroc").endswith("(seed 2 left out: no scratch.)")


def test_groups_have_a_line_each(frame, pairs, exactly):
    records = frame(*(pairs(exactly(d, 0.01), factors={"n": n}) for n, d in ((16, 0.1), (64, 0.0))))
    first, second = difference_sentence(records, "full", "scratch", "auroc", by="n").split("\n")
    assert first.startswith("- **n = 16.** Full reached an AUROC .10 higher")
    assert second.startswith("- **n = 64.** Full and scratch show no clear difference")


def test_one_arm(frame, pairs):
    records = frame(pairs([0.0, 0.0, 0.0], base=0.7))
    assert arm_sentence(records, "scratch", "auroc", labels=LABELS) == (
        "Training from scratch reached an AUROC of .70 (95 % interval .58 to .82, 3 seeds)."
    )


def test_it_is_markdown_and_text(frame, pairs):
    text = arm_sentence(frame(pairs([0.1, 0.2])), "full", "auroc")
    assert text._repr_markdown_() == str(text)


def test_this_run_and_the_reference(frame, pairs, exactly, monkeypatch):
    kept = frame(pairs(exactly(0.13, 0.0322)))
    monkeypatch.setattr("medtl_core.reporting.sentences.reference_records", lambda *_, **__: kept)
    mine = frame(pairs([0.1], dataset="phantoms_basic"))
    text = in_both_runs(
        difference_sentence, mine, "full", "scratch", "auroc", notebook="n", study="s", labels=LABELS
    )
    first, second = text.split("\n\n")
    assert first.startswith("**This run: phantoms basic, one seed.** In the one seed measured,")
    assert second.startswith("**Reference: breastmnist, 5 seeds.** Fine-tuning reached an AUROC .13 higher")


def test_without_a_reference_it_is_said(frame, pairs, monkeypatch, tmp_path):
    monkeypatch.setattr(reference, "project_root", lambda: tmp_path)
    text = in_both_runs(arm_sentence, frame(pairs([0.1])), "full", "auroc", notebook="n", study="s")
    assert text.endswith("**Reference.** No reference run holds this study yet.")
    assert in_both_runs(arm_sentence, None, "full", "auroc", notebook="n", study="s").startswith(
        "**Reference.**"
    )


@pytest.mark.parametrize(
    ("metric", "article"),
    [("auroc", "an AUROC"), ("accuracy", "an accuracy"), ("brier", "a Brier score"), ("recall", "a recall"),
     ("f1", "an F1"), ("squared_distance", "a squared distance")],
)  # fmt: skip
def test_articles(frame, pairs, metric, article):
    assert f" {article} of " in arm_sentence(frame(pairs([0.1, 0.2], metric=metric)), "full", metric)


@pytest.mark.parametrize(
    ("value", "decimals", "sign", "text"),
    [
        (0.934, 2, False, ".93"),
        (1.0, 2, False, "1.00"),
        (0.0, 2, False, ".00"),
        (-0.001, 2, True, ".00"),
        (-0.05, 2, False, "−.05"),
        (0.05, 2, True, "+.05"),
        (10.0, 0, False, "10"),
        (-0.2, 0, True, "0"),
        (65536.4, 2, False, "65,536"),
        (0.996, 2, False, "1.00"),
    ],
)
def test_numbers(value, decimals, sign, text):
    assert number(value, decimals, sign) == text


@pytest.mark.parametrize(
    ("half", "bounded", "decimals"),
    [(0.04, True, 2), (0.004, True, 3), (0.00001, True, 4), (3.0, False, 0), (0.4, False, 1), (0.0, True, 2)],
)
def test_digits_that_an_estimate_deserves(half, bounded, decimals):
    assert decimals_for(half, bounded) == decimals
