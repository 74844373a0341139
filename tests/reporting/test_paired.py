"""Tables from records against intervals computed by SciPy and by hand."""

import numpy as np
import pytest
from scipy import stats

from medtl_core.errors import MedtlError
from medtl_core.evidence.record import to_frame
from medtl_core.reporting.paired import arm_table, paired_table
from medtl_core.reporting.summaries import select


def values(frame, arm, **where):
    chosen = frame[frame["arm"] == arm]
    for name, level in where.items():
        chosen = chosen[chosen[name] == level]
    return chosen.sort_values("seed")["value"].to_numpy()


@pytest.fixture
def two_sizes(pairs, frame):
    return frame(
        pairs([0.1, 0.12, 0.2, 0.05], factors={"n": 64}), pairs([0.0, 0.02, -0.01, 0.03], factors={"n": 256})
    )


def test_arms_against_scipy(two_sizes):
    table = arm_table(two_sizes, "auroc", by="n")
    assert table[["n", "arm"]].to_numpy().tolist() == [
        ["64", "full"], ["64", "scratch"], ["256", "full"], ["256", "scratch"],
    ]  # fmt: skip
    for row in table.to_dict("records"):
        found = values(two_sizes, row["arm"], n=int(row["n"]))
        low, high = stats.t.interval(0.95, len(found) - 1, found.mean(), stats.sem(found))
        assert [row["mean"], row["low"], row["high"]] == pytest.approx([found.mean(), low, high])
        assert row["seeds"] == 4


def test_pairs_against_scipy(two_sizes):
    table = paired_table(two_sizes, [("full", "scratch")], "auroc", by="n")
    for n, (_, row) in zip((64, 256), table.iterrows(), strict=True):
        test = stats.ttest_rel(values(two_sizes, "full", n=n), values(two_sizes, "scratch", n=n))
        interval = test.confidence_interval(0.95)
        assert [row["low"], row["high"]] == pytest.approx([interval.low, interval.high])
        assert row["pair"] == "full − scratch"


def test_an_interval_computed_on_paper(frame, pairs):
    # Differences 1, 2, 3: mean 2, standard deviation 1, t(2, .975) = 4.302653.
    row = paired_table(frame(pairs([1.0, 2.0, 3.0], metric="depth")), [("full", "scratch")], "depth").iloc[0]
    assert row["difference"] == pytest.approx(2.0)
    assert row["high"] - row["difference"] == pytest.approx(4.302653 / np.sqrt(3), abs=1e-5)


def test_seeds_that_cannot_be_paired_are_named(record):
    rows = [record(arm="full", seed=s, value=0.9) for s in (0, 1, 2, 7)]
    rows += [record(arm="scratch", seed=s, value=0.8 + s / 100) for s in (0, 1, 2, 5, 6)]
    row = paired_table(to_frame(rows), [("full", "scratch")], "auroc", labels={"full": "fine-tuning"}).iloc[0]
    assert row["seeds"] == 3
    assert row["note"] == "seeds 5, 6 left out: no fine-tuning; seed 7 left out: no scratch"


def test_a_pair_that_was_not_measured_keeps_its_row(frame, pairs):
    table = paired_table(frame(pairs([0.1, 0.2])), [("full", "scratch"), ("medical", "scratch")], "auroc")
    assert table["seeds"].tolist() == [2, 0]
    assert table["note"].tolist() == ["", "medical was not measured"]
    assert np.isnan(table["difference"][1])


def test_an_arm_that_was_asked_for_and_not_measured_keeps_its_row(frame, pairs):
    table = arm_table(frame(pairs([0.1, 0.2])), "auroc", arms=["full", "medical"])
    assert table["note"].tolist() == ["", "not measured"]


def test_one_seed_has_no_interval(record):
    row = arm_table([record()], "auroc").iloc[0]
    assert row["mean"] == 0.9
    assert np.isnan(row["low"])
    assert row["note"] == "one seed: no interval"


def test_data_sets_are_groups_and_never_averaged(frame, pairs):
    both = frame(pairs([0.1, 0.2]), pairs([0.3, 0.4], dataset="brain_mri"))
    table = paired_table(both, [("full", "scratch")], "auroc", labels={"brain_mri": "brain MRI"})
    assert table["data set"].tolist() == ["breastmnist", "brain MRI"]
    assert table["difference"].tolist() == pytest.approx([0.15, 0.35])


def test_domains_of_one_data_set_are_groups(frame, pairs):
    both = frame(
        pairs([0.1, 0.2], source_domain="a", target_domain="b"),
        pairs([0.3, 0.4], source_domain="b", target_domain="b"),
    )
    assert arm_table(both, "auroc")["data set"].unique().tolist() == [
        "breastmnist (a → b)",
        "breastmnist (b)",
    ]


def test_configurations_are_groups_named_by_what_differs(frame, pairs):
    both = frame(
        pairs([0.1, 0.2], configuration={"steps": 40, "backbone": "vgg16"}),
        pairs([0.3, 0.4], configuration={"steps": 80, "backbone": "vgg16"}),
    )
    table = paired_table(both, [("full", "scratch")], "auroc", labels={"steps": "optimiser steps"})
    assert table["data set"].tolist() == [
        "breastmnist, optimiser steps = 40",
        "breastmnist, optimiser steps = 80",
    ]
    assert table["difference"].tolist() == pytest.approx([0.15, 0.35])


def test_levels_are_not_mixed_unasked(two_sizes):
    with pytest.raises(MedtlError, match=r"factor 'n' has the levels 64, 256: choose .*by= or average_over="):
        arm_table(two_sizes, "auroc")


def test_levels_are_averaged_within_a_seed_on_request(two_sizes):
    row = paired_table(two_sizes, [("full", "scratch")], "auroc", average_over="n").iloc[0]
    differences = np.mean([[0.1, 0.12, 0.2, 0.05], [0.0, 0.02, -0.01, 0.03]], axis=0)
    low, high = stats.t.interval(0.95, 3, differences.mean(), stats.sem(differences))
    assert [row["difference"], row["low"], row["high"]] == pytest.approx([differences.mean(), low, high])


def test_a_seed_without_every_level_is_left_out_of_an_average(two_sizes):
    lacking = two_sizes[~((two_sizes["n"] == 256) & (two_sizes["seed"] == 2) & (two_sizes["arm"] == "full"))]
    row = arm_table(lacking, "auroc", arms=["full"], average_over="n").iloc[0]
    assert row["seeds"] == 3
    assert row["note"] == "seed 2 left out: not every n"


def test_two_values_of_one_seed_are_refused(record):
    with pytest.raises(MedtlError, match="arm 'full', seed 0: two values"):
        arm_table([record(key="a"), record(key="b", value=0.8)], "auroc")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"metric": "f1"}, "metric 'f1': not in these records, which hold: auroc"),
        ({"metric": "auroc", "by": "size"}, "factor 'size': not in these records, whose factors are: n"),
        ({"metric": "auroc", "arms": ["svm"]}, "arms svm: none in these records, which hold: full, scratch"),
    ],
)
def test_what_is_not_there_is_named(two_sizes, arguments, said):
    with pytest.raises(MedtlError, match=said):
        select(two_sizes, **arguments)


def test_a_table_that_is_none_of_records(two_sizes):
    with pytest.raises(MedtlError, match="no column 'seed'"):
        select(two_sizes.drop(columns="seed"), "auroc")


def test_data_sets_with_a_configuration_each_go_by_their_names_alone(frame, pairs):
    both = frame(
        pairs([0.1, 0.2], configuration={"sizes": [32, 64]}),
        pairs([0.3, 0.4], dataset="other", configuration={"sizes": [64]}),
    )
    assert arm_table(both, "auroc")["data set"].unique().tolist() == ["breastmnist", "other"]
