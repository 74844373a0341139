"""Checks of exercises: right answers of any type pass, wrong ones are told why, and nothing crashes."""

import numpy as np
import pytest
import torch

from medtl_core.errors import MedtlError
from medtl_core.reporting.answers import agrees, in_words
from medtl_core.reporting.exercise import Check, Misconception, problems_of


def side(h, k, s, p):
    return (h + 2 * p - k) // s + 1


CASES = [((28, 5, 2, 2), 14), ((28, 3, 1, 0), 26), ((31, 7, 3, 1), 9)]
WRONG = [
    (lambda h, k, s, p: (h + p - k) // s + 1, "padding is added on both sides"),
    (lambda h, k, s, p: (h + 2 * p - k) // s, "the first place counts, too"),
    (
        lambda h, k, s, p: (h + 2 * p - k) / s + 1,
        "a side is a whole number: what does the kernel do at the rim?",
    ),
]


@pytest.fixture
def output_side():
    return Check(
        1,
        wants="a function of (h, k, s, p) that returns the side of the output",
        cases=CASES,
        misconceptions=[Misconception(*wrong) for wrong in WRONG],
        hint="count the places where the kernel fits",
    )


@pytest.fixture
def field():
    return Check(
        2,
        wants="a number of pixels",
        expected=9,
        misconceptions=[Misconception(7, "the second kernel moves in steps of the first stride")],
        hint="go back from one unit, layer by layer",
    )


def test_a_right_function_is_correct_and_printed(output_side, capsys):
    output_side(side)
    assert capsys.readouterr().out == "exercise 1: correct\n"


@pytest.mark.parametrize("right", [9, 9.0, np.int64(9), np.array(9), np.array([9]), torch.tensor(9.0)])
def test_a_right_value_of_any_type_is_correct(field, right):
    assert field.feedback(right).text == "exercise 2: correct"


def test_each_misconception_gets_its_hint(output_side):
    for wrong, hint in WRONG:
        feedback = output_side.feedback(wrong)
        assert not feedback.correct
        assert feedback.text.endswith(f"Hint: {hint}")


def test_found_and_expected_are_said_for_a_function(output_side):
    assert output_side.feedback(lambda h, k, s, p: 14).text == (
        "exercise 1: not yet; for (28, 3, 1, 0) found 14, expected 26. "
        "Hint: count the places where the kernel fits"
    )


def test_the_solution_of_a_value_is_not_given_away(field):
    assert field.feedback(5).text == (
        "exercise 2: not yet; found 5, which is too small, expected a number of pixels. "
        "Hint: go back from one unit, layer by layer"
    )
    assert "too large" in field.feedback(11).text
    assert field.feedback(7).text.endswith("Hint: the second kernel moves in steps of the first stride")
    assert "9" not in field.feedback(5).text + field.feedback(11).text + field.feedback("nine").text


@pytest.mark.parametrize("placeholder", [None, ...])
def test_a_placeholder(output_side, placeholder):
    assert output_side.feedback(placeholder).text == (
        "exercise 1: not answered yet; "
        "expected a function of (h, k, s, p) that returns the side of the output"
    )


class Hostile:
    def __repr__(self):
        return "two\nlines"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (14, "found 14, expected a function of (h, k, s, p)"),
        ("14", "found '14', expected a function"),
        (lambda h: h, "your function raised TypeError"),
        (lambda h, k, s, p: 1 / 0, "your function raised ZeroDivisionError (division by zero), expected 14"),
        (lambda h, k, s, p: None, "your function returned nothing (is a return missing?), expected 14"),
        (lambda h, k, s, p: [14, 15], "found [14, 15], expected 14"),
        (lambda h, k, s, p: np.zeros((20, 20)), "found an array of shape (20, 20), expected 14"),
        (lambda h, k, s, p: Hostile(), "expected 14"),
        (lambda h, k, s, p: [[1], [1, 2]], "expected 14"),
        (lambda h, k, s, p: torch.tensor([1.0, 2.0], requires_grad=True), "found [1.0, 2.0], expected 14"),
        (lambda h, k, s, p: float("nan"), "found nan, expected 14"),
    ],
)
def test_wrong_kinds_are_one_line_and_no_traceback(output_side, answer, said, recwarn):
    feedback = output_side.feedback(answer)
    assert not feedback.correct
    assert said in feedback.text
    assert "\n" not in feedback.text
    assert "Hint:" in feedback.text
    assert not recwarn.list


@pytest.mark.parametrize("answer", [(5,), [5], np.array([[5]]), 5j, (5, 6)])
def test_a_number_in_brackets_is_no_exception(answer):
    said = Check(1, wants="a number", expected=3).feedback(answer)
    assert not said.correct
    assert "\n" not in said.text


def test_an_answer_cannot_change_the_cases():
    check = Check(3, wants="a function", cases=[((np.array([3, 1]),), [1, 3]), ((np.array([5, 2]),), [2, 5])])

    def sorts_in_place(values):
        values.sort()
        return values

    assert check.feedback(sorts_in_place).correct
    assert check.feedback(sorts_in_place).correct
    assert check.cases[0][0][0].tolist() == [3, 1]


def test_properties_are_tried_and_named():
    check = Check(
        4,
        wants="an array (2, 2) of shares",
        properties=[("the shares sum to 1", lambda table: np.isclose(np.sum(table), 1)),
                    ("the shape is (2, 2)", lambda table: np.shape(table) == (2, 2))],
        hint="divide by the total",
    )  # fmt: skip
    assert check.feedback([[0.25, 0.25], [0.25, 0.25]]).correct
    assert "expected that the shares sum to 1, which does not hold" in check.feedback(np.ones((2, 2))).text
    assert "expected that the shape is (2, 2)" in check.feedback([0.5, 0.5]).text
    assert "testing it raised" in check.feedback("text").text


def test_a_check_that_lets_a_constant_pass_is_refused():
    with pytest.raises(MedtlError, match=r"check 1: all cases expect 2, so that a constant would pass"):
        Check(1, wants="a function", cases=[((1, 2), 2), ((2, 1), 2)])


def test_a_check_that_accepts_its_misconception_is_refused():
    with pytest.raises(MedtlError, match=r"accepts its misconception 'q below .5'"):
        Check(
            2,
            wants="a function of q",
            cases=[((0.5,), 0.5), ((0.7,), 0.7), ((1.0,), 1.0)],
            misconceptions=[Misconception(lambda q: max(q, 1 - q), "q below .5")],
        )


@pytest.mark.parametrize("arguments", [{}, {"cases": CASES, "expected": 3}])
def test_a_check_without_one_thing_to_hold_against(arguments):
    with pytest.raises(MedtlError, match=r"check 1: (both|nothing)"):
        Check(1, wants="a number", **arguments)


def test_the_contract_of_a_lesson_finds_weak_checks(output_side, field):
    assert problems_of(output_side, side, [wrong for wrong, _ in WRONG]) == []
    assert problems_of(field, 9, [7, 5, 11]) == []
    assert "refuses its solution" in problems_of(field, 8, [])[0]
    weak = Check(5, wants="a number", expected=9)
    assert [problem.split(":")[0] for problem in problems_of(weak, 9, [5])] == ["has no hint for 5"]
    blind = Check(6, wants="anything", properties=[("it is there", lambda answer: True)])
    assert "accepts 'an answer'" in problems_of(blind, 1, [])


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([1, 2], (1, 2)),
        (np.array([1.0, 2.0]), [1, 2]),
        (torch.tensor([1, 2]), (1, 2)),
        (range(3), [0, 1, 2]),
        ("Outside the scheme", "outside_the-scheme"),
        ({"a": 1}, {"a": 1.0}),
        ([2, 1, 1], {1, 2}),
        (np.bool_(True), True),
        ([True, False], np.array([True, False])),
        ([1, 0], np.array([True, False])),
        ((np.ones((2, 2)), 2), (np.ones((2, 2)), 2.0)),
        (["a", 1], ("A", 1)),
        (1 + 1e-9, 1),
        (float("nan"), float("nan")),
    ],
)
def test_what_agrees(found, expected):
    assert agrees(found, expected)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([2, 1], (1, 2)),
        ([1, 2, 3], (1, 2)),
        ("1", 1),
        (True, 1),
        (1.001, 1),
        (None, 1),
        ([[1], [2, 3]], {1, 2}),
        ({"a": 1}, {"b": 1}),
        (object(), 1),
        (lambda: 1, 1),
        ([], 0),
        (np.ones((1, 2)), np.ones((2, 1))),
        (float("nan"), 1),
    ],
)
def test_what_does_not(found, expected):
    assert not agrees(found, expected)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (np.float64(0.5), "0.5"),
        ([1, 2], "[1, 2]"),
        (np.arange(2), "[0, 1]"),
        (len, "a function"),
        ({1: object()}, "a dict"),
    ],
)  # fmt: skip
def test_answers_in_words(answer, text):
    assert in_words(answer) == text
