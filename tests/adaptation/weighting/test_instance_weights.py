"""Instance weights against solvers, closed forms and the true ratio of two Gaussians."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import norm
from sklearn.metrics.pairwise import rbf_kernel

from medtl_core.adaptation.weighting import (
    discriminative_weights,
    effective_sample_size,
    kliep_weights,
    kmm_weights,
    ulsif_weights,
)
from medtl_core.adaptation.weighting.kullback_leibler import mixture_shares
from medtl_core.adaptation.weighting.least_squares import leave_one_out_error, ratio_coefficients
from medtl_core.errors import MedtlError

RNG = np.random.default_rng(0)
SOURCE, TARGET = RNG.normal(0, 1, (40, 2)), RNG.normal(0.8, 0.7, (30, 2))


def test_effective_sample_size_on_paper():
    assert effective_sample_size([2, 2, 2, 2]) == pytest.approx(4)
    assert effective_sample_size([0, 5, 0]) == pytest.approx(1)
    assert effective_sample_size([1, 3]) == pytest.approx(16 / 10)
    with pytest.raises(MedtlError, match="none below 0"):
        effective_sample_size([1, -1])


@pytest.mark.parametrize(("largest", "slack"), [(1000.0, None), (3.0, 0.05), (1.5, 0.1)])
def test_kmm_solves_its_quadratic_programme(largest, slack):
    found = kmm_weights(SOURCE, TARGET, bandwidth=1.0, largest=largest, slack=slack, tolerance=1e-7)
    kernel = rbf_kernel(SOURCE, gamma=0.5)
    toward = 40 * rbf_kernel(SOURCE, TARGET, gamma=0.5).mean(axis=1)
    used = (np.sqrt(40) - 1) / np.sqrt(40) if slack is None else slack
    limits = [
        {"type": "ineq", "fun": lambda w: w.sum() - 40 * (1 - used)},
        {"type": "ineq", "fun": lambda w: 40 * (1 + used) - w.sum()},
    ]
    solved = minimize(
        lambda w: w @ kernel @ w / 2 - toward @ w,
        np.ones(40),
        jac=lambda w: kernel @ w - toward,
        bounds=[(0, largest)] * 40,
        constraints=limits,
        method="SLSQP",
        options={"maxiter": 2000, "ftol": 1e-12},
    )
    assert solved.success
    assert found.min() >= 0
    assert found.max() <= largest
    assert 40 * (1 - used) - 1e-6 <= found.sum() <= 40 * (1 + used) + 1e-6
    assert found @ kernel @ found / 2 - toward @ found == pytest.approx(solved.fun, rel=1e-6)


def test_kliep_reaches_the_maximum_that_slsqp_finds():
    to_target = rbf_kernel(TARGET, TARGET[:12], gamma=0.5)
    means = rbf_kernel(SOURCE, TARGET[:12], gamma=0.5).mean(axis=0)
    found = mixture_shares(to_target, means, tolerance=1e-7)
    solved = minimize(
        lambda a: -np.log(to_target @ a).mean(),
        np.full(12, 1 / means.sum()),
        bounds=[(0, None)] * 12,
        constraints={"type": "eq", "fun": lambda a: means @ a - 1},
        method="SLSQP",
        options={"ftol": 1e-12, "maxiter": 1000},
    )
    assert means @ found == pytest.approx(1)
    assert found.min() >= 0
    assert np.log(to_target @ found).mean() == pytest.approx(-solved.fun, abs=1e-6)


def test_ulsif_on_paper():
    to_source, to_target = np.array([[1.0], [3.0]]), np.array([[2.0], [4.0]])
    # H = (1 + 9) / 2 = 5, h = 3, so a = 3 / (5 + 1)
    assert ratio_coefficients(to_source, to_target, 1.0) == pytest.approx([0.5])
    # Without the first pair: H 9, h 4, a .4. Without the second: H 1, h 2, a 1.
    errors = [0.4**2 / 2 - 0.8, 3**2 / 2 - 4]
    assert leave_one_out_error(to_source, to_target, 1.0) == pytest.approx(np.mean(errors))


@pytest.mark.parametrize("penalty", [0.01, 1.0])
def test_ulsif_leaves_one_out_as_the_long_way_does(penalty):
    to_source, to_target = rbf_kernel(SOURCE, TARGET[:7]), rbf_kernel(TARGET, TARGET[:7])
    errors = []
    for i in range(30):
        a = ratio_coefficients(np.delete(to_source, i, 0), np.delete(to_target, i, 0), penalty)
        errors.append((to_source[i] @ a) ** 2 / 2 - to_target[i] @ a)
    assert leave_one_out_error(to_source, to_target, penalty) == pytest.approx(np.mean(errors))


WEIGHTS = {
    "kmm": lambda s, t, **k: kmm_weights(s, t, bandwidth=0.7, largest=10.0, slack=0.05),
    "kliep": kliep_weights,
    "ulsif": ulsif_weights,
    "discriminative": discriminative_weights,
}


@pytest.mark.parametrize(
    ("method", "mean", "spread"),
    [
        pytest.param("kliep", 0.5, 0.6, marks=pytest.mark.slow),
        ("ulsif", 0.5, 0.6),
        ("discriminative", 0.7, 1.0),
    ],  # log-linear with equal spreads
)
def test_weights_are_near_the_true_ratio_of_two_gaussians(method, mean, spread):
    rng = np.random.default_rng(1)
    source, target = rng.normal(0, 1, (1000, 1)), rng.normal(mean, spread, (1000, 1))
    true = norm.pdf(source[:, 0], mean, spread) / norm.pdf(source[:, 0])
    found = WEIGHTS[method](source, target, seed=0)
    assert found.mean() == pytest.approx(1)
    assert np.corrcoef(found, true)[0, 1] > 0.93
    assert np.abs(found - true).mean() < 0.2


@pytest.mark.parametrize("method", WEIGHTS)
def test_weighted_source_moves_to_the_target(method):
    rng = np.random.default_rng(2)
    source, target = rng.normal(0, 1, (300, 2)), rng.normal(0.8, 0.8, (200, 2))
    w = WEIGHTS[method](source, target, seed=0)
    moved = (w[:, None] * source).sum(axis=0) / w.sum()
    assert np.linalg.norm(moved - target.mean(axis=0)) < 0.35 * np.linalg.norm(
        source.mean(axis=0) - target.mean(axis=0)
    )
    assert 5 < effective_sample_size(w) < 300


def test_what_cannot_be_weighted_is_refused():
    with pytest.raises(MedtlError, match="cannot sum to"):
        kmm_weights(SOURCE, TARGET, largest=0.5, slack=0.1)
    with pytest.raises(MedtlError, match=r"bandwidth 0\.0, expected a number above 0"):
        kmm_weights(SOURCE, TARGET, bandwidth=0.0)
    with pytest.raises(MedtlError, match="3 target cases, expected at least 5"):
        kliep_weights(SOURCE, TARGET[:3], seed=0)
    with pytest.raises(MedtlError, match="at least 5 a domain"):
        discriminative_weights(SOURCE, TARGET[:3], seed=0)
    with pytest.raises(MedtlError, match="at least 2 a domain"):
        ulsif_weights(SOURCE, TARGET[:1], seed=0, widths=(1.0,))
    with pytest.raises(MedtlError, match="no source case near the target"):
        kliep_weights(SOURCE, TARGET + 500, seed=0, widths=(1.0,))
    with pytest.raises(MedtlError, match="expected numbers above 0"):
        ulsif_weights(SOURCE, TARGET, seed=0, widths=(0.0,))
