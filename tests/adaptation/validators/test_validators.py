"""Validators on cases worked out by hand, and model choice by name."""

import math

import numpy as np
import pytest
from sklearn.metrics import log_loss

from medtl_core.adaptation.validators import (
    VALIDATORS,
    Outputs,
    case_losses,
    choose,
    deep_embedded_validation,
    density_ratio,
    effective_sample_size,
    importance_weighted_risk,
    prediction_entropy,
    soft_neighbourhood_density,
    source_risk,
)
from medtl_core.errors import MedtlError

LOSSES, WEIGHTS = np.array([0.2, 0.4, 0.1, 0.8]), np.array([0.5, 1.5, 2.0, 1.0])


def outputs(shift=0.5, n=200, m=150, sharpness=2.0):
    """One feature, the class its sign, and a candidate that is as sure as `sharpness` says."""
    rng = np.random.default_rng(0)
    source, target = rng.normal(0, 1, (n, 1)), rng.normal(shift, 1, (m, 1))

    def probabilities(x):
        p = 1 / (1 + np.exp(-sharpness * x[:, 0]))
        return np.stack([1 - p, p], axis=1)

    return Outputs(source, probabilities(source), (source[:, 0] > 0) * 1, target, probabilities(target))


def test_case_losses_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(3), 20)
    labels = rng.integers(0, 3, 20)
    assert source_risk(case_losses(probabilities, labels)) == pytest.approx(
        log_loss(labels, probabilities, labels=[0, 1, 2])
    )


def test_risks_on_paper():
    assert source_risk(LOSSES) == pytest.approx(1.5 / 4)
    assert importance_weighted_risk(LOSSES, WEIGHTS) == pytest.approx(1.7 / 4)


def test_dev_and_its_control_variate_on_paper():
    """Weighted losses .1, .6, .2, .8: covariance with the weights .025/3, their variance 1.25/3, eta -.02."""
    assert deep_embedded_validation(LOSSES, WEIGHTS) == pytest.approx(0.425 - 0.02 * 1.25 + 0.02)
    spread = (WEIGHTS[:, None] * LOSSES).mean()
    assert spread == pytest.approx(1.25 * 0.375)
    with pytest.raises(MedtlError, match=r"weights of shape \(4, 1\), expected \(n,\)"):
        deep_embedded_validation(LOSSES, WEIGHTS[:, None])


def test_dev_is_the_intercept_at_mean_weight_1_of_a_least_squares_line():
    """A control variate with the best eta is a regression on the weight, read where the weight is 1."""
    rng = np.random.default_rng(0)
    losses, weights = rng.exponential(1, 50), rng.exponential(1, 50)
    slope, intercept = np.polyfit(weights, weights * losses, 1)
    assert deep_embedded_validation(losses, weights) == pytest.approx(slope + intercept)


def test_dev_varies_less_than_the_weighted_risk():
    def draws(estimate):
        rng = np.random.default_rng(1)
        found = []
        for _ in range(300):
            x = rng.normal(0, 1, 100)
            found.append(estimate(1 + 0.1 * x**2, np.exp(0.7 * x - 0.245)))
        return np.array(found)

    plain, controlled = draws(importance_weighted_risk), draws(deep_embedded_validation)
    assert controlled.std() < 0.7 * plain.std()
    assert plain.mean() == pytest.approx(1 + 0.1 * 1.49, rel=0.03)


def test_equal_weights_leave_nothing_to_control():
    assert deep_embedded_validation(LOSSES, np.ones(4)) == pytest.approx(LOSSES.mean())


def test_the_density_ratio_is_that_of_two_known_gaussians():
    rng = np.random.default_rng(0)
    source, target = rng.normal(0, 1, (4000, 1)), rng.normal(0.5, 1, (2000, 1))
    true = np.exp(0.5 * source[:, 0] - 0.125)
    found = density_ratio(source, target)
    assert np.abs(np.log(found / true)).max() < 0.35
    assert found.mean() == pytest.approx(1, abs=0.05)
    order = rng.permutation(4000)
    assert np.corrcoef(np.log(density_ratio(source[order], target)), np.log(true[order]))[0, 1] > 0.99


def test_the_effective_sample_size_on_paper():
    assert effective_sample_size(np.ones(7)) == pytest.approx(7)
    assert effective_sample_size(np.array([1.0, 0, 0])) == pytest.approx(1)
    assert effective_sample_size(np.array([1.0, 3.0])) == pytest.approx(16 / 10)


def test_entropy_on_paper():
    assert prediction_entropy([[0.5, 0.5], [1, 0]]) == pytest.approx(math.log(2) / 2)


def test_soft_neighbourhood_density_on_paper():
    """Cases 1 and 2 agree, 3 differs: similarities (1, 0), (1, 0) and (0, 0) at temperature 1."""
    p = math.e / (1 + math.e)
    unequal = -p * math.log(p) - (1 - p) * math.log(1 - p)
    found = soft_neighbourhood_density([[1, 0], [1, 0], [0, 1]], temperature=1)
    assert found == pytest.approx((2 * unequal + math.log(2)) / 3)


def test_soft_neighbourhood_density_scales_rows_and_prefers_tight_clusters():
    rng = np.random.default_rng(0)
    loose = rng.dirichlet([1, 1, 1], 60)
    tight = np.eye(3)[rng.integers(0, 3, 60)] * 0.97 + 0.01
    assert soft_neighbourhood_density(tight) > soft_neighbourhood_density(loose)
    constant = np.full((60, 3), [0.2, 0.5, 0.3])
    assert soft_neighbourhood_density(constant) == pytest.approx(math.log(59))


def test_every_validator_declares_its_direction_and_scores_arrays():
    assert {name: v.best for name, v in VALIDATORS.items()} == {
        "source risk": "lowest",
        "importance-weighted risk": "lowest",
        "deep embedded validation": "lowest",
        "entropy": "lowest",
        "soft neighbourhood density": "highest",
    }
    found = outputs()
    for validator in VALIDATORS.values():
        assert math.isfinite(validator.score(found))
        assert validator.score(found) == validator.score(found)


def test_the_choice_follows_the_direction():
    unsure = np.array([[0.6, 0.4], [0.5, 0.5], [0.4, 0.6], [0.55, 0.45]])
    sure = np.array([[1, 0], [0.9, 0.1], [0, 1], [0.05, 0.95]])
    features, labels = np.arange(4.0)[:, None], np.array([0, 0, 1, 1])
    candidates = {
        "unsure": Outputs(features, unsure, labels, features, unsure),
        "sure": Outputs(features, sure, labels, features, sure),
    }
    for name in ("entropy", "source risk", "soft neighbourhood density"):
        best, scores = choose(candidates, name)
        direction = min if VALIDATORS[name].best == "lowest" else max
        assert scores[best] == direction(scores.values())
    assert choose(candidates, "entropy")[0] == "sure"
    with pytest.raises(MedtlError, match="'oracle' found, expected one of source risk"):
        choose(candidates, "oracle")
    with pytest.raises(MedtlError, match="no candidate"):
        choose({}, "entropy")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"source_labels": np.array([0, 1, 2, 0])}, "labels 0 to 2, expected 0 to 1"),
        ({"source_labels": np.array([0.5, 1, 0, 0])}, "expected 4 integers"),
        ({"target_probabilities": np.full((3, 2), 0.4)}, "that sum to 1"),
        ({"target_features": np.zeros((3, 5))}, "source features have 2 columns and target features 5"),
        ({"source_features": np.zeros((3, 2))}, "3 source features and 4 source probabilities"),
        ({"target_features": np.full((3, 2), np.nan)}, "finite values"),
    ],
)
def test_outputs_that_do_not_fit_are_one_line(change, line):
    fitting = {
        "source_features": np.zeros((4, 2)),
        "source_probabilities": np.full((4, 2), 0.5),
        "source_labels": np.array([0, 1, 1, 0]),
        "target_features": np.zeros((3, 2)),
        "target_probabilities": np.full((3, 2), 0.5),
    }
    Outputs(**fitting)
    with pytest.raises(MedtlError, match=line) as caught:
        Outputs(**{**fitting, **change})
    assert "\n" not in str(caught.value)


def test_too_few_cases_are_one_line():
    with pytest.raises(MedtlError, match="3 target cases for 5 folds"):
        density_ratio(np.zeros((9, 2)), np.zeros((3, 2)))
    with pytest.raises(MedtlError, match="at least 3 cases"):
        soft_neighbourhood_density([[0.5, 0.5], [1, 0]])
    with pytest.raises(MedtlError, match="2 finite values or more"):
        source_risk([0.3])
