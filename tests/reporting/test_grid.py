"""The grid of arms and places: what stands in its cells, and which colour they have."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from medtl_core.errors import MedtlError
from medtl_core.reporting.grid import plot_grid
from medtl_core.reporting.style import BLUE, VERMILION

# Half of the 95 % t-interval of 1, 2, 3 hundredths: 4.3027 / sqrt(3) of a hundredth.
THREE = [0.71, 0.72, 0.73]


def measured(record, values, direction="higher", **place):
    """Records of each arm's values by seed."""
    return [
        record(arm=arm, seed=seed, value=value, direction=direction, **place)
        for arm, row in values.items()
        for seed, value in enumerate(row)
    ]


def cells(drawing):
    """By column and row: the text, the colour, and its depth: the share of it that is mixed with white."""
    axes = drawing.figure.axes[0]
    (mesh,) = axes.collections
    shown = {}
    for text, colour in zip(axes.texts, mesh.get_facecolors(), strict=True):
        hue = BLUE if colour[2] > colour[0] else VERMILION
        missing = np.ptp([to_rgb("white"), to_rgb(hue)], axis=0)
        depth = float(np.mean((1 - colour[:3])[missing > 0] / missing[missing > 0]))
        shown[tuple(int(place) for place in text.get_position())] = text.get_text(), hue, depth
    return shown


def two_shifts(record, direction="higher"):
    here = {
        "none": THREE,
        "better": [0.81, 0.83, 0.82],
        "worse": [0.61, 0.62, 0.64],
        "same": [0.73, 0.72, 0.71],
    }
    there = {"none": THREE, "better": [0.91, 0.93, 0.92]}
    return [
        *measured(record, here, direction, factors={"shift": "a to b"}),
        *measured(record, there, direction, factors={"shift": "b to a"}),
    ]


def test_without_a_factor_each_data_set_is_a_column(record):
    found = [
        *measured(record, {"none": THREE, "better": [0.81, 0.83, 0.82]}, dataset="one"),
        *measured(record, {"none": THREE}, dataset="two"),
    ]
    drawing = plot_grid(found, "auroc", control="none")
    headings = [tick.get_text() for tick in drawing.figure.axes[0].get_xticklabels()]
    assert headings == ["one", "two"]
    assert cells(drawing)[0, 1][:2] == (".82 ± .02", BLUE)
    assert cells(drawing)[1, 1][0] == "–"
    assert "by data set" in drawing.text
    alone = [row for row in found if row.dataset == "one"]
    assert cells(plot_grid(alone, "auroc"))[0, 0][0] == ".72 ± .02"


def test_a_cell_says_the_mean_and_half_of_the_interval(record):
    shown = cells(plot_grid(two_shifts(record), "auroc", column="shift"))
    assert shown[0, 0][0] == ".72 ± .02"  # .0248
    assert shown[1, 1][0] == ".92 ± .02"
    assert shown[1, 2][0] == "–"  # not measured there
    assert [depth for _, _, depth in shown.values()] == pytest.approx([0.0] * len(shown), abs=0.01)


def test_a_colour_stands_for_a_clear_paired_difference_from_the_control(record):
    shown = cells(plot_grid(two_shifts(record), "auroc", column="shift", control="none"))
    colour = {place: (hue, depth) for place, (_, hue, depth) in shown.items()}
    assert colour[0, 1][0] == BLUE
    assert colour[0, 2][0] == VERMILION
    assert colour[1, 1] == (BLUE, pytest.approx(0.6, abs=0.01))  # the largest difference, .20
    assert colour[0, 1][1] == pytest.approx(0.6 * (0.25 + 0.75 * 0.10 / 0.20), abs=0.01)
    unclear = [colour[place][1] for place in ((0, 0), (0, 3), (1, 0), (1, 2))]
    assert unclear == pytest.approx([0.0] * 4, abs=0.01)


def test_the_control_need_not_be_a_row(record):
    shown = cells(
        plot_grid(two_shifts(record), "auroc", column="shift", control="none", arms=["better", "worse"])
    )
    assert {down for _, down in shown} == {0, 1}
    assert [shown[0, down][1] for down in (0, 1)] == [BLUE, VERMILION]


def test_where_lower_is_better_less_is_blue(record):
    shown = cells(plot_grid(two_shifts(record, "lower"), "auroc", column="shift", control="none"))
    assert (shown[0, 1][1], shown[0, 2][1]) == (VERMILION, BLUE)


def test_headings_name_data_set_and_level(record):
    records = two_shifts(record) + measured(
        record, {"none": THREE}, factors={"shift": "a to b"}, dataset="another"
    )
    labels = {"a to b": "A → B", "another": "other images"}
    axes = plot_grid(records, "auroc", column="shift", labels=labels).figure.axes[0]
    headings = [text.get_text() for text in axes.get_xticklabels()]
    assert len(headings) == 3
    assert "other images\nA → B" in headings


def test_an_unknown_control_is_refused(record):
    with pytest.raises(MedtlError, match="control 'nobody': not in these records, which hold: none, better"):
        plot_grid(two_shifts(record), "auroc", column="shift", control="nobody")


def test_it_draws_one_seed_without_an_interval(record):
    records = measured(record, {"none": [0.5], "better": [0.75]}, factors={"shift": "a to b"})
    drawing = plot_grid(records, "auroc", column="shift", control="none", title="one seed")
    text, _, depth = cells(drawing)[0, 1]
    assert (text, depth) == (".75", pytest.approx(0.0, abs=0.01))
    assert np.all(drawing.figure.get_size_inches() > 1)
    assert drawing.png().startswith(b"\x89PNG")
