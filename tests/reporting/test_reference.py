"""This run beside the reference: which run is chosen, what the panels say, and what happens without one."""

import json

import pytest
from matplotlib.text import Text

from medtl_core.errors import MedtlError
from medtl_core.evidence.record_store import RecordStore
from medtl_core.evidence.reference_run import keep_run
from medtl_core.reporting import reference
from medtl_core.reporting.arms import plot_arms
from medtl_core.reporting.curves import plot_curves
from medtl_core.reporting.differences import plot_differences
from medtl_core.reporting.reference import heading, reference_folder, reference_records, side_by_side

STUDY = {"notebook": "02_fine_tuning", "study": "learning_curve"}


@pytest.fixture
def project(tmp_path, monkeypatch, claim, rule, registered):
    """A project with kept runs: `keep(name, records)` writes results/NAME."""
    monkeypatch.setattr(reference, "project_root", lambda: tmp_path)

    def keep(name, records):
        store = RecordStore(tmp_path / "runs" / name)
        for record in records:
            store.add([record])
        (store.root / "state").mkdir(parents=True, exist_ok=True)
        keep_run(store.root, tmp_path / "results" / name, register=registered(claim(rule())))

    return keep


def titles(drawing):
    return [axes.get_title(loc="left") for axes in drawing.figure.axes]


def texts(drawing):
    return " ".join(text.get_text() for text in drawing.figure.findobj(Text)).replace("\n", " ")


def test_the_reference_run_comes_first_then_the_one_with_most_seeds(project, pairs):
    project("teach-cpu", pairs([0.1, 0.2]))
    assert reference_folder(**STUDY).name == "teach-cpu"
    project("headline-cpu", pairs([0.1, 0.2, 0.3]))
    assert reference_folder(**STUDY).name == "headline-cpu"
    project("reference", pairs([0.1, 0.2, 0.3, 0.4]))
    assert reference_folder(**STUDY).name == "reference"
    assert reference_records(**STUDY)["seed"].nunique() == 4
    assert reference_records(**STUDY, reference="results/teach-cpu")["seed"].nunique() == 2


def test_a_run_without_the_study_is_passed_over(project, pairs):
    project("reference", pairs([0.1, 0.2], study="families"))
    project("teach-cpu", pairs([0.1, 0.2, 0.3]))
    assert reference_folder(**STUDY).name == "teach-cpu"
    assert reference_folder("02_fine_tuning", "families").name == "reference"
    assert reference_folder("02_fine_tuning", "nothing") is None


def test_two_panels_with_their_data_sets_and_seeds(project, pairs, frame):
    project("reference", pairs([0.1, 0.2, 0.3]))
    mine = frame(pairs([0.1, 0.2], dataset="phantoms_basic"))
    drawing = side_by_side(plot_arms, mine, "auroc", **STUDY)
    assert titles(drawing) == ["this run: phantoms basic, 2 seeds", "reference: breastmnist, 3 seeds"]
    left, right = drawing.figure.axes
    assert left.get_xlim() == right.get_xlim()
    named = side_by_side(plot_arms, mine, "auroc", **STUDY, labels={"phantoms_basic": "phantoms"})
    assert titles(named)[0] == "this run: phantoms, 2 seeds"


def test_rows_of_both_panels_stand_in_the_order_of_this_run(project, pairs, frame, record):
    project("reference", [*pairs([0.1, 0.2]), record(arm="a_new_one")])
    mine = frame(pairs([0.1, 0.2], dataset="phantoms_basic"))
    mine = mine.sort_values("arm", ascending=False)
    drawing = side_by_side(plot_arms, mine, "auroc", **STUDY)
    rows = [[text.get_text() for text in axes.get_yticklabels()] for axes in drawing.figure.axes]
    assert rows == [["scratch", "full"], ["scratch", "full", "a new one"]]


def test_levels_of_both_panels_stand_in_the_order_of_this_run(project, pairs, frame):
    def at(place, **more):
        return pairs([0.1, 0.2], factors={"shift": place}, **more)

    project("reference", [*at("a to b"), *at("b to a")])
    mine = frame([*at("b to a", dataset="phantoms_basic"), *at("a to b", dataset="phantoms_basic")])
    drawing = side_by_side(plot_arms, mine, "auroc", by="shift", **STUDY)
    rows = [[text.get_text() for text in axes.get_yticklabels()] for axes in drawing.figure.axes]
    assert rows[0] == rows[1]
    assert rows[0][0].endswith("b\xa0to\xa0a")


def test_without_a_reference_the_panel_says_so(project, pairs, frame):
    drawing = side_by_side(plot_arms, frame(pairs([0.1, 0.2])), "auroc", **STUDY)
    assert titles(drawing)[1] == "reference"
    assert "No reference run holds this study yet." in texts(drawing)
    assert drawing.png()


def test_without_a_run_the_reference_stands_alone(project, pairs):
    project("reference", pairs([0.1, 0.2]))
    drawing = side_by_side(plot_differences, None, [("full", "scratch")], "auroc", **STUDY)
    assert titles(drawing) == ["reference: breastmnist, 2 seeds"]


def test_many_more_differences_in_the_reference_stand_below_this_run(project, pairs, frame):
    def of(names):
        return [r for name in names for r in pairs([0.1, 0.2], dataset=name)]

    def places(drawing):
        return [axes.get_subplotspec().get_position(drawing.figure) for axes in drawing.figure.axes]

    mine, pair = frame(of(["phantoms_basic"])), [("full", "scratch")]
    project("reference", of(["brain_mri"]))
    left, right = places(side_by_side(plot_differences, mine, pair, "auroc", **STUDY))
    assert left.y0 == right.y0
    assert left.x1 <= right.x0
    project("headline-cpu", of([f"archive_{k}" for k in range(12)]))
    many = side_by_side(plot_differences, mine, pair, "auroc", **STUDY, reference="results/headline-cpu")
    above, below = places(many)
    assert above.x0 == below.x0
    assert above.y0 >= below.y1 - 1e-9
    assert above.height < below.height


def test_curves_have_a_panel_for_each_data_set(project, pairs, frame):
    kept = [
        r for name in ("breastmnist", "brain_mri") for r in pairs([0.1, 0.2], factors={"n": 8}, dataset=name)
    ]
    project("reference", kept)
    mine = frame(pairs([0.1, 0.2], factors={"n": 8}, dataset="phantoms_basic"))
    drawing = side_by_side(plot_curves, mine, "auroc", "n", **STUDY)
    assert [title.split(",")[0] for title in titles(drawing)[:3]] == [
        "this run: phantoms basic", "reference: brain mri", "reference: breastmnist",
    ]  # fmt: skip
    chosen = side_by_side(plot_curves, mine, "auroc", "n", **STUDY, datasets=["breastmnist"])
    assert len(chosen.figure.axes) == 2


@pytest.mark.slow
def test_curves_have_a_panel_for_each_configuration(project, pairs):
    kept = [
        r
        for size in (64, 96)
        for r in pairs([0.1, 0.2], factors={"n": 8}, configuration={"image_size": size, "steps": 3})
    ]
    project("reference", kept)
    drawing = side_by_side(plot_curves, None, "auroc", "n", **STUDY)
    assert [" ".join(title.split()) for title in titles(drawing)[:2]] == [
        f"reference: breastmnist, 2 seeds, image size = {size}" for size in (64, 96)
    ]


def test_rows_can_be_chosen_in_both(project, pairs, frame):
    sizes = [r for n in (8, 16) for r in pairs([0.1, 0.2], factors={"n": n})]
    project("reference", sizes)
    drawing = side_by_side(plot_arms, frame(sizes), "auroc", **STUDY, where=lambda table: table["n"] == 8)
    assert len(drawing.figure.axes) == 2


def test_a_damaged_reference_is_an_error(project, pairs, tmp_path):
    project("reference", pairs([0.1, 0.2]))
    (tmp_path / "results/reference/records/02_fine_tuning/learning_curve.jsonl").write_text("{")
    with pytest.raises(MedtlError, match=r"learning_curve\.jsonl, line 1: found a file that cannot be read"):
        reference_records(**STUDY)


def test_a_folder_that_is_no_kept_run_is_an_error(project):
    with pytest.raises(MedtlError, match="no kept run there"):
        reference_records(**STUDY, reference="results/nowhere")


def test_heading_of_one_seed_and_of_domains(record):
    from medtl_core.evidence.record import to_frame

    assert heading("this run", to_frame([record(source_domain="a", target_domain="b")])) == (
        "this run: breastmnist (a → b), one seed"
    )


def test_kept_runs_of_the_project_are_found():
    found = reference_records("11_case_covid19", "cross_source")
    assert found is not None
    header = json.loads((reference_folder("11_case_covid19") / "runs.json").read_text(encoding="utf-8"))
    assert header
    assert side_by_side(
        plot_arms, None, "auroc", by=["tested_on", "method"], notebook="11_case_covid19", study="cross_source"
    ).png()
