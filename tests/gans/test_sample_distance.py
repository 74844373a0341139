"""KID and FID against independent sums, and halves of patients."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torchmetrics.image.kid import poly_mmd

from medtl_core.errors import MedtlError
from medtl_core.gans.quality import frechet_distance, kernel_distance
from medtl_core.gans.quality.halves import halves

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(30, 5)), RNG.normal(0.5, 1.3, size=(20, 5))


def test_kid_is_the_sum_over_pairs_written_out():
    def k(a, b):
        return (sum(u * v for u, v in zip(a, b, strict=True)) / 5 + 1) ** 3

    n, m = len(X), len(Y)
    xx = sum(k(X[i], X[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    yy = sum(k(Y[i], Y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    xy = sum(k(a, b) for a in X for b in Y) / (n * m)
    assert kernel_distance(X, Y) == pytest.approx(xx + yy - 2 * xy)


def test_kid_is_that_of_torchmetrics():
    same_size = X[:20]
    expected = poly_mmd(torch.from_numpy(same_size), torch.from_numpy(Y)).item()
    assert kernel_distance(same_size, Y) == pytest.approx(expected)


def test_kid_has_no_bias():
    values = [kernel_distance(*RNG.normal(size=(2, 10, 4))) for _ in range(400)]
    assert abs(np.mean(values)) < 3 * np.std(values) / 20


@pytest.mark.parametrize("n", [30, 4])
def test_fid_is_the_formula_with_scipys_root(n):
    x = X[:n]
    s, t = np.cov(x, rowvar=False), np.cov(Y, rowvar=False)
    root = sqrtm(s @ t).real
    difference = x.mean(0) - Y.mean(0)
    expected = difference @ difference + np.trace(s + t - 2 * root)
    assert frechet_distance(x, Y) == pytest.approx(expected, rel=1e-5)


def test_fid_of_shifted_and_scaled_features_on_paper():
    """One feature: (difference of means)^2 + (difference of standard deviations)^2."""
    x = RNG.normal(size=(50, 1))
    assert frechet_distance(x, 3 * x + 2) == pytest.approx(
        (3 * x.mean() + 2 - x.mean()) ** 2 + (2 * x.std(ddof=1)) ** 2
    )
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-12)
    constant = np.full((10, 1), 5.0)
    assert frechet_distance(x, constant) == pytest.approx((x.mean() - 5) ** 2 + x.var(ddof=1))


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        (X, Y[:, :3], r"\(30, 5\) and \(20, 3\)"),
        (X[:1], Y, "at least 2 cases"),
        (X * np.nan, Y, "NaN"),
    ],
)
def test_features_that_do_not_fit_are_refused(x, y, words):
    for distance in (kernel_distance, frechet_distance):
        with pytest.raises(MedtlError, match=words):
            distance(x, y)


def test_halves_are_equal_disjoint_and_random():
    first, second = halves(21, None, np.random.default_rng(0))
    assert len(first) == len(second) == 10
    assert not set(first) & set(second)
    assert set(first) != set(halves(21, None, np.random.default_rng(1))[0])


def test_halves_keep_patients_together():
    patients = np.repeat(np.arange(12), np.arange(1, 13))
    for seed in range(20):
        first, second = halves(78, patients, np.random.default_rng(seed))
        assert not set(patients[first]) & set(patients[second])
        assert len(first) == len(second) >= 78 / 2 - 6
    with pytest.raises(MedtlError, match="one group only"):
        halves(5, np.zeros(5), np.random.default_rng(0))
    with pytest.raises(MedtlError, match=r"groups: shape \(3,\), expected \(5,\)"):
        halves(5, np.zeros(3), np.random.default_rng(0))
    with pytest.raises(MedtlError, match="expected at least 2; give more"):
        halves(3, None, np.random.default_rng(0))
