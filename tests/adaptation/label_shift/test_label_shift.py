"""BBSE and Saerens' EM on paper, against a maximum of the likelihood, and with planted shares."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from medtl_core.adaptation.label_shift import adjusted_posteriors, bbse_weights, saerens_em
from medtl_core.errors import MedtlError


def test_bbse_on_paper():
    labels = np.repeat([0, 1], 10)
    predictions = np.array([0] * 8 + [1] * 2 + [0] * 1 + [1] * 9)
    # C = [[.4, .05], [.1, .45]]; a target of 3 to 1 is predicted 0 with .75 * .8 + .25 * .1 = .625
    target = np.array([0] * 625 + [1] * 375)
    assert bbse_weights(labels, predictions, target, 2) == pytest.approx([1.5, 0.5])


def test_bbse_never_gives_negative_weights_and_refuses_what_cannot_be_inverted():
    labels = np.repeat([0, 1], 10)
    predictions = np.array([0] * 8 + [1] * 2 + [0] * 1 + [1] * 9)
    assert bbse_weights(labels, predictions, np.zeros(50, int), 2).min() == 0
    with pytest.raises(MedtlError, match="a class is never predicted"):
        bbse_weights(labels, np.zeros(20, int), np.zeros(50, int), 2)


@pytest.mark.parametrize(
    ("source", "target", "line"),
    [
        ([0, 1], [], "target predictions none"),
        ([0, 2], [0], "source predictions 0 to 2"),
        ([0, 1], [-1], "-1 to -1"),
    ],
)
def test_bbse_refuses_what_is_no_code(source, target, line):
    with pytest.raises(MedtlError, match=f"bbse: .*{line}, expected codes from 0 to 1"):
        bbse_weights(np.array([0, 1]), np.array(source), np.array(target, int), 2)


def test_adjusted_posteriors_on_paper():
    found = adjusted_posteriors(np.array([[0.5, 0.5]]), np.array([0.5, 0.5]), np.array([0.8, 0.2]))
    assert found == pytest.approx(np.array([[0.8, 0.2]]))
    found = adjusted_posteriors(np.array([[0.9, 0.1]]), np.array([0.6, 0.4]), np.array([0.3, 0.7]))
    assert found == pytest.approx(np.array([[0.45, 0.175]]) / 0.625)


def test_em_finds_the_planted_shares_and_the_maximum_of_the_likelihood():
    rng = np.random.default_rng(0)
    hidden = rng.random(4000) < 0.85
    x = rng.normal(hidden * 2.0, 1)
    odds = norm.pdf(x, 2) / (norm.pdf(x, 2) + norm.pdf(x, 0))
    shares = saerens_em(np.column_stack([1 - odds, odds]), np.array([0.5, 0.5]))
    assert shares.sum() == pytest.approx(1)
    assert shares[1] == pytest.approx(0.85, abs=0.02)
    best = minimize_scalar(
        lambda q: -np.log(q * odds / 0.5 + (1 - q) * (1 - odds) / 0.5).sum(),
        bounds=(0, 1),
        method="bounded",
        options={"xatol": 1e-9},
    )
    assert shares[1] == pytest.approx(best.x, abs=1e-5)


def test_em_is_refused_without_a_share_per_class():
    with pytest.raises(MedtlError, match="expected one above 0 per class"):
        saerens_em(np.full((3, 2), 0.5), np.array([1.0, 0.0]))
    for posteriors in (np.zeros((3, 2)), np.zeros((0, 2))):
        with pytest.raises(MedtlError, match="at least one row and each row to sum to 1"):
            saerens_em(posteriors, np.array([0.5, 0.5]))
    with pytest.raises(MedtlError, match="not converged in 2 steps"):
        saerens_em(np.array([[0.6, 0.4], [0.5, 0.5]]), np.array([0.5, 0.5]), steps=2)
