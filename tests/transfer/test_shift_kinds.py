"""Kinds of shift on joint tables whose answer is known from how they were made."""

import numpy as np
import pytest

from medtl_core.errors import MedtlError
from medtl_core.transfer.shift_kinds import distribution_shift

P_X, Q_X = np.array([0.5, 0.3, 0.2]), np.array([0.1, 0.3, 0.6])
P_Y, Q_Y = np.array([0.5, 0.5]), np.array([0.9, 0.1])
Y_GIVEN_X = np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]])
OTHER_CONCEPT = Y_GIVEN_X[:, ::-1]
X_GIVEN_Y = np.array([[0.7, 0.1], [0.2, 0.2], [0.1, 0.7]])

CASES = {
    "none": (P_X[:, None] * Y_GIVEN_X, P_X[:, None] * Y_GIVEN_X),
    "covariate": (P_X[:, None] * Y_GIVEN_X, Q_X[:, None] * Y_GIVEN_X),
    "label": (X_GIVEN_Y * P_Y, X_GIVEN_Y * Q_Y),
    "concept": (P_X[:, None] * Y_GIVEN_X, P_X[:, None] * OTHER_CONCEPT),
    "other": (P_X[:, None] * Y_GIVEN_X, Q_X[:, None] * OTHER_CONCEPT),
}


@pytest.mark.parametrize("name", CASES)
def test_each_kind_is_recognised_in_both_directions(name):
    source, target = CASES[name]
    assert distribution_shift(source, target).name == name
    assert distribution_shift(target, source).name == name


def test_parts_follow_the_factorisation():
    found = distribution_shift(*CASES["covariate"])
    assert (found.inputs, found.labels, found.concept) == (True, True, False)
    found = distribution_shift(*CASES["label"])
    assert (found.inputs, found.labels, found.concept, found.appearance) == (True, True, True, False)


def test_where_one_side_has_no_mass_the_conditional_is_not_compared():
    source = np.array([[0.5, 0.0], [0.0, 0.5], [0.0, 0.0]])
    target = np.array([[0.0, 0.0], [0.0, 0.5], [0.25, 0.25]])
    assert distribution_shift(source, target).name == "covariate"


def test_no_distribution_is_refused():
    with pytest.raises(MedtlError, match="source: found shape"):
        distribution_shift(np.ones((2, 2)), np.full((2, 2), 0.25))
    with pytest.raises(MedtlError, match="expected one shape"):
        distribution_shift(np.full((2, 2), 0.25), np.full((4, 1), 0.25))
