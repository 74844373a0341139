"""The figures of a comparison: what is drawn, where, and what can never be drawn."""

import numpy as np
import pytest
from matplotlib.text import Text
from scipy import stats

from medtl_core.errors import MedtlError
from medtl_core.evaluation.metric_words import chance_of, metric_in_words, range_of
from medtl_core.evidence.record import to_frame
from medtl_core.evidence.register import load_register
from medtl_core.reporting.arms import plot_arms
from medtl_core.reporting.curves import plot_curves, spread
from medtl_core.reporting.differences import plot_differences
from medtl_core.reporting.drawing import panels
from medtl_core.reporting.smallest_effect import smallest_effect
from medtl_core.reporting.style import colour_of

FULL = [("full", "scratch")]


def axes_of(drawing):
    return drawing.figure.axes[0]


def lines_at(axes, colour):
    """(x, y) of the lines in one colour."""
    found = [line for line in axes.get_lines() if line.get_color() == colour]
    return [(np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)) for line in found]


def texts_of(drawing):
    return [text.get_text() for text in drawing.figure.findobj(Text) if text.get_text()]


@pytest.fixture
def near_one(record):
    """Scores whose t-interval leaves the range that a score can have."""
    return to_frame(
        record(arm=arm, seed=seed, value=value)
        for arm, found in (("full", [0.9, 0.99, 1.0]), ("scratch", [0.02, 0.0, 0.2]))
        for seed, value in enumerate(found)
    )


def test_mean_interval_and_seeds_stand_where_the_numbers_are(frame, pairs):
    records = frame(pairs([0.1, 0.12, 0.2, 0.05]))
    found = records[records["arm"] == "full"]["value"].to_numpy()
    expected = stats.t.interval(0.95, 3, found.mean(), stats.sem(found))
    interval, seeds, mean = lines_at(axes_of(plot_arms(records, "auroc")), colour_of("full"))
    assert interval[0] == pytest.approx(np.array(expected))
    assert sorted(seeds[0]) == pytest.approx(sorted(found))
    assert mean[0] == pytest.approx(found.mean())
    assert interval[1][0] == mean[1]
    # Seeds stand under the interval (the axis points down), clear of it.
    assert (seeds[1] > interval[1][0] + 0.2).all()


def test_scores_never_leave_0_to_1_and_no_seed_is_cut_off(near_one):
    low, high = axes_of(plot_arms(near_one, "auroc")).get_xlim()
    assert (low, high) == (0.0, 1.0)
    ends = axes_of(plot_curves(near_one.assign(n=8), "auroc", "n")).get_ylim()
    assert ends == (0.0, 1.0)


def test_a_difference_may_be_negative_and_an_unbounded_metric_may_exceed_1(near_one, frame, pairs):
    _, high = axes_of(plot_arms(frame(pairs([3.0, 5.0], metric="depth", base=9.0)), "depth")).get_xlim()
    assert high > 12
    low, _ = axes_of(plot_differences(near_one, [("scratch", "full")], "auroc")).get_xlim()
    assert low < -0.9


def test_bounds_of_the_caller_win(near_one):
    assert axes_of(plot_arms(near_one, "auroc", bounds=(None, None))).get_xlim()[1] > 1.05


def test_labels_are_words_and_no_name_is_mathematics(frame, pairs):
    records = frame(pairs([0.1, 0.2], factors={"fee": "5$ or 6$"}))
    drawing = plot_arms(records, "auroc", by="fee", labels={"full": "fine-tuning"})
    shown = texts_of(drawing)
    assert {"fine-tuning", "scratch"} <= set(shown)
    assert any("5$" in text for text in shown)
    drawing.png()
    assert not any(text.get_parse_math() for text in drawing.figure.findobj(Text))


def test_the_axis_says_what_it_shows(frame, pairs):
    drawing = plot_arms(frame(pairs([0.1, 0.2, 0.3])), "auroc")
    assert axes_of(drawing).get_xlabel() == "AUROC\n95 % interval; small dots: 3 seeds"


def test_the_band_is_that_of_the_register(frame, pairs):
    records = frame(pairs([0.1, 0.2, 0.3]))
    entry = next(entry for entry in load_register().entries if entry.id == "C006")
    stated = next(rule.margin for rule in entry.rules if rule.trend is None)
    band = axes_of(plot_differences(records, FULL, "auroc", claim="C006")).patches[0]
    assert (band.get_x(), band.get_x() + band.get_width()) == pytest.approx((-stated, stated))


def test_the_band_follows_the_register_when_it_changes(frame, pairs, claim, rule, registered):
    records = frame(pairs([0.1, 0.2, 0.3]))
    register = registered(claim(rule(margin=0.03)))
    axes = axes_of(plot_differences(records, FULL, "auroc", claim="C006", register=register))
    assert axes.patches[0].get_width() == pytest.approx(0.06)
    assert "too small to matter (±.03)" in axes.get_xlabel()


def test_a_rule_gives_the_band_and_none_gives_none(frame, pairs, rule):
    records = frame(pairs([0.1, 0.2, 0.3]))
    assert axes_of(plot_differences(records, FULL, "auroc", rule=rule(margin=0.02))).patches[
        0
    ].get_width() == (pytest.approx(0.04))
    assert not axes_of(plot_differences(records, FULL, "auroc")).patches


def test_zero_and_the_band_are_in_sight(frame, pairs):
    low, high = axes_of(
        plot_differences(frame(pairs([0.5, 0.51, 0.52])), FULL, "auroc", claim="C006")
    ).get_xlim()
    assert low < -0.005
    assert high > 0.52


def test_sizes_that_the_register_does_not_state(claim, rule, registered):
    register = registered(claim(rule(margin=0.01), rule(margin=0.02, treatment="medical")))
    assert smallest_effect("C006", "auroc", FULL, register=register) == 0.01
    with pytest.raises(MedtlError, match=r"give the smallest effects 0.01, 0.02, expected one"):
        smallest_effect("C006", "auroc", [("full", "scratch"), ("medical", "scratch")], register=register)
    with pytest.raises(MedtlError, match="smallest effects none, expected one"):
        smallest_effect("C006", "accuracy", FULL, register=register)
    with pytest.raises(MedtlError, match="claim 'C999': not in the register"):
        smallest_effect("C999", "auroc", FULL, register=register)


def test_readings_may_state_different_sizes(frame, pairs, claim, rule, registered):
    weak, strong = rule(margin=0.01, reading="weak"), rule(margin=0.03, reading="strong")
    register = registered(claim(weak, strong))
    records = frame(pairs([0.1, 0.2, 0.3]))
    drawing = plot_differences(records, FULL, "auroc", claim="C006", reading="strong", register=register)
    assert axes_of(drawing).patches[0].get_width() == pytest.approx(0.06)
    with pytest.raises(MedtlError, match=r"say which reading is meant \(reading=\)"):
        plot_differences(records, FULL, "auroc", claim="C006", register=register)


def test_a_pair_that_was_not_measured_says_so(frame, pairs):
    drawing = plot_differences(frame(pairs([0.1, 0.2])), [*FULL, ("medical", "scratch")], "auroc")
    assert "medical was not measured" in texts_of(drawing)


def test_a_trend_has_its_levels_at_their_distance(frame, pairs):
    sizes = frame(*(pairs([0.1, 0.2], factors={"n": n}) for n in (256, 16, 64)))
    axes = axes_of(plot_curves(sizes, "auroc", "n", x_scale="log2"))
    ticks = axes.get_xticks()
    assert [text.get_text() for text in axes.get_xticklabels()] == ["16", "64", "256"]
    assert np.diff(ticks) == pytest.approx([1.0, 1.0])
    linear = axes_of(plot_curves(sizes, "auroc", "n")).get_xticks()
    assert (linear[1] - linear[0]) / (linear[2] - linear[1]) == pytest.approx(48 / 192)


def test_lines_are_named_at_their_ends_without_touching(frame, pairs):
    sizes = frame(*(pairs([0.001, 0.002], factors={"n": n}) for n in (16, 64)))
    drawing = plot_curves(sizes, "auroc", "n", labels={"full": "fine-tuning"})
    names = {text.get_text(): text.get_position()[1] for text in axes_of(drawing).texts}
    assert abs(names["fine-tuning"] - names["scratch"]) >= 0.07
    assert axes_of(drawing).get_legend() is None


def test_arms_along_the_axis_make_one_line(record):
    rows = [record(arm=arm, seed=s, value=0.5 + s / 10) for arm in ("stem", "head", "middle") for s in (0, 1)]
    axes = axes_of(plot_curves(rows, "auroc", "arm", order=["stem", "middle", "head"]))
    assert [text.get_text() for text in axes.get_xticklabels()] == ["stem", "middle", "head"]
    with pytest.raises(MedtlError, match="order: 'middle'"):
        plot_curves(rows, "auroc", "arm", order=["stem", "head"])


def test_curves_of_several_data_sets_are_refused(frame, pairs):
    both = frame(
        pairs([0.1, 0.2], factors={"n": 8}), pairs([0.1, 0.2], factors={"n": 8}, dataset="brain_mri")
    )
    with pytest.raises(MedtlError, match="breastmnist, brain mri, expected one data set"):
        plot_curves(both, "auroc", "n")


def test_a_logarithmic_axis_needs_levels_above_zero(frame, pairs):
    with pytest.raises(MedtlError, match="log2 needs levels above 0, found 0"):
        plot_curves(frame(pairs([0.1, 0.2], factors={"n": 0})), "auroc", "n", x_scale="log2")


def test_panels_share_the_range_and_show_themselves(frame, pairs):
    a, b = frame(pairs([0.1] * 4, base=0.6)), frame(pairs([0.1] * 4, base=0.2))
    drawing = panels([lambda axes, r=r: plot_arms(r, "auroc", axes=axes) for r in (a, b)], same_range=True)
    left, right = drawing.figure.axes
    assert left.get_xlim() == right.get_xlim()
    apart = panels([lambda axes, r=r: plot_arms(r, "auroc", axes=axes) for r in (a, b)])
    assert apart.figure.axes[0].get_xlim() != apart.figure.axes[1].get_xlim()


def test_a_drawing_is_a_picture_with_a_text_and_no_object(frame, pairs):
    from IPython.core.formatters import DisplayFormatter

    drawing = plot_arms(frame(pairs([0.1, 0.2])), "auroc", title="this run")
    formatter = DisplayFormatter()
    formatter.active_types = formatter.format_types
    data, metadata = formatter.format(drawing)
    assert data["image/png"][:8] == b"\x89PNG\r\n\x1a\n"
    assert data["text/plain"] == "figure: this run: AUROC of full and scratch"
    width = int.from_bytes(data["image/png"][16:20], "big")
    assert width == pytest.approx(2 * metadata["image/png"]["width"], abs=2)


def test_equal_records_give_equal_pictures(frame, pairs):
    records = frame(pairs([0.1, 0.2]))
    assert plot_arms(records, "auroc").png() == plot_arms(records, "auroc").png()


@pytest.mark.slow
def test_nothing_is_cut_off(frame, pairs):
    """Every text lies inside the picture: nothing that a reader should see hangs over its edge."""
    sizes = frame(*(pairs([0.1, 0.2, 0.3], factors={"n": n}) for n in (16, 64)))
    labels = {"full": "fine-tuning of all layers", "scratch": "training from scratch", "n": "training images"}
    for drawing in (
        plot_arms(sizes, "auroc", by="n", labels=labels, title="this run: breastmnist, 3 seeds"),
        plot_differences(sizes, FULL, "auroc", by="n", labels=labels, claim="C006"),
        plot_curves(sizes, "auroc", "n", x_scale="log2", labels=labels),
    ):
        drawing.figure.draw_without_rendering()
        box = drawing.figure.bbox
        for text in drawing.figure.findobj(Text):
            if text.get_visible() and text.get_text():
                extent = text.get_window_extent()
                assert extent.x0 >= box.x0 - 1, text.get_text()
                assert extent.x1 <= box.x1 + 1, text.get_text()
                assert extent.y0 >= box.y0 - 1, text.get_text()
                assert extent.y1 <= box.y1 + 1, text.get_text()


def test_spread_against_the_projection_by_isotonic_regression():
    from sklearn.isotonic import IsotonicRegression

    rng = np.random.default_rng(0)
    for _ in range(30):
        wanted = rng.uniform(0.3, 0.7, 6)
        found = np.array(spread(list(wanted), 0.05))
        order = np.argsort(wanted)
        steps = 0.05 * np.arange(6)
        projected = IsotonicRegression().fit_transform(np.arange(6), wanted[order] - steps) + steps
        assert found[order] == pytest.approx(projected)
    assert spread([0.99, 0.995, 0.999], 0.1) == pytest.approx([0.8, 0.9, 1.0])


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("auroc", (0.0, 1.0)),
        ("val_auroc_step_10", (0.0, 1.0)),
        ("accuracy_leaked", (0.0, 1.0)),
        ("macro_f1", (0.0, 1.0)),
        ("ece", (0.0, 1.0)),
        ("auroc_drop", (None, None)),
        ("generalisation_gap", (None, None)),
        ("log2_seconds", (None, None)),
        ("brier", (0.0, None)),
        ("tuning_seconds", (0.0, None)),
        ("latency_share", (0.0, None)),
        ("depth", (None, None)),
    ],
)
def test_ranges_of_metrics(metric, expected):
    assert range_of(metric) == expected


def test_words_and_chance_of_metrics():
    assert metric_in_words("balanced_accuracy") == "balanced accuracy"
    assert metric_in_words("source_auroc") == "source AUROC"
    assert metric_in_words("log2_seconds") == "training time (log2 of seconds)"
    assert metric_in_words("auroc", {"auroc": "area"}) == "area"
    assert (chance_of("val_auroc"), chance_of("auroc_drop"), chance_of("accuracy")) == (0.5, None, None)
