import pytest

from medtl_core.evidence.register_check import check_register
from medtl_core.evidence.study_declaration import StudyDeclaration

DECLARED = {
    ("02_fine_tuning", "learning_curve"): StudyDeclaration(
        "02_fine_tuning",
        "learning_curve",
        ("full", "scratch"),
        {"n": (16, 64), "shift": ("covariate", "label")},
        {"auroc": "higher"},
    )
}


@pytest.fixture
def problems(rule, claim, registered):
    return lambda **fields: check_register(registered(claim(rule(**fields))), DECLARED).problems


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {
            "where": {"n": {"min": 1024}, "shift": ["label", "covariate"], "dataset": "breastmnist"},
            "by": ["n"],
        },
        {"where": {"n": 512}},
        {"kind": "interaction", "trend": {"factor": "n", "scale": "log2"}},
    ],
)
def test_a_rule_that_a_study_answers_is_no_problem(rule, claim, registered, fields):
    found = check_register(registered(claim(rule(**fields))), DECLARED)
    assert (found.problems, found.waiting, found.answered) == ([], {}, 1)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"study": "learning_curves"}, "unknown study 'learning_curves' in notebook 02_fine_tuning; did you"),
        (
            {"treatment": "probe"},
            "unknown arm 'probe' in study 02_fine_tuning/learning_curve; expected one of",
        ),
        (
            {"control": "scrach"},
            "unknown arm 'scrach' in study 02_fine_tuning/learning_curve; did you mean 'scr",
        ),
        ({"metric": "aurocs"}, "unknown metric 'aurocs'"),
        ({"by": ["size"]}, "unknown factor 'size'"),
        ({"where": {"size": 64}}, "unknown factor 'size'"),
        ({"where": {"shift": "concept"}}, "unknown level of factor 'shift' 'concept'"),
        ({"where": {"shift": ["label", "concept"]}}, "unknown level of factor 'shift' 'concept'"),
        (
            {"where": {"shift": {"max": 3}}},
            "factor 'shift' of study 02_fine_tuning/learning_curve has the levels",
        ),
        ({"kind": "interaction", "trend": {"factor": "shift"}}, "which are not numbers"),
        ({"kind": "interaction", "trend": {"factor": "size"}}, "unknown factor 'size'"),
    ],
)
def test_what_no_study_declares_is_one_line_each(problems, fields, named):
    found = problems(**fields)
    assert len(found) == 1
    assert found[0].startswith("C006, main reading, 'fine-tuning beats scratch': ")
    assert named in found[0]
    assert "\n" not in found[0]


def test_several_things_wrong_with_one_rule_are_several_lines(problems):
    assert len(problems(treatment="a", control="b", metric="c", by=["d"])) == 4


def test_a_notebook_that_declared_nothing_waits(rule, claim, registered):
    waiting = [claim(rule(), rule(margin=0.1), id=i, notebook="05_gans") for i in ("C036", "C047")]
    found = check_register(registered(*waiting, claim(id="C050")), DECLARED)
    assert (found.problems, found.waiting, found.answered) == ([], {"05_gans": ["C036", "C047"]}, 0)
