"""MMD against a double loop and the closed form for Gaussians; proxy A-distance at its two ends."""

import math

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.neighbors import KNeighborsClassifier

from medtl_core.errors import MedtlError
from medtl_core.evaluation.discrepancy import median_bandwidth, mmd2, mmd_test, proxy_a_distance


def mmd2_by_loops(x, y, bandwidth):
    def k(a, b):
        return math.exp(-sum((a - b) ** 2) / (2 * bandwidth**2))

    n, m = len(x), len(y)
    xx = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    yy = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    xy = sum(k(a, b) for a in x for b in y) / (n * m)
    return xx + yy - 2 * xy


def gaussian_mmd2(distance, sd, bandwidth, d):
    """Two Gaussians in d dimensions of equal sd: E k = (s / (s + 2v))^(d/2) exp(-|mu|^2 / (2 (s + 2v)))."""
    s, v = bandwidth**2, sd**2
    scale = (s / (s + 2 * v)) ** (d / 2)
    return 2 * scale * (1 - math.exp(-(distance**2) / (2 * (s + 2 * v))))


def test_mmd2_equals_a_double_loop():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(9, 4)), rng.normal(0.5, 2, size=(13, 4))
    for bandwidth in (0.4, 1.7):
        assert mmd2(x, y, bandwidth) == pytest.approx(mmd2_by_loops(x, y, bandwidth), rel=1e-10)


def test_mmd2_has_the_closed_form_of_two_gaussians():
    rng = np.random.default_rng(1)
    d, distance, bandwidth = 3, 1.2, 1.5
    shift = np.full(d, distance / math.sqrt(d))
    found = [mmd2(rng.normal(size=(120, d)), rng.normal(size=(80, d)) + shift, bandwidth) for _ in range(60)]
    error = np.std(found, ddof=1) / math.sqrt(len(found))
    assert np.mean(found) == pytest.approx(gaussian_mmd2(distance, 1.0, bandwidth, d), abs=4 * error)
    assert error < 0.01


def test_mmd2_is_unbiased_at_0():
    rng = np.random.default_rng(2)
    found = [mmd2(rng.normal(size=(15, 2)), rng.normal(size=(25, 2)), 1.0) for _ in range(400)]
    assert abs(np.mean(found)) < 4 * np.std(found) / 20
    assert np.min(found) < 0


def test_bandwidth_is_the_median_distance():
    x, y = np.array([[0.0], [1.0]]), np.array([[3.0], [7.0]])
    assert median_bandwidth(x, y) == np.median([1, 3, 7, 2, 6, 4])
    assert mmd2(x, y) == mmd2(x, y, 3.5)


def test_permutation_p_is_uniform_under_the_null_and_small_under_a_shift():
    rng = np.random.default_rng(3)
    p = [
        mmd_test(rng.normal(size=(20, 3)), rng.normal(size=(30, 3)), permutations=99, seed=i).p_value
        for i in range(200)
    ]
    assert np.mean(np.array(p) <= 0.05) == pytest.approx(0.05, abs=3 * math.sqrt(0.05 * 0.95 / 200))
    assert np.mean(p) == pytest.approx(0.5, abs=0.08)
    far = mmd_test(rng.normal(size=(40, 3)), rng.normal(1.5, 1, size=(40, 3)), permutations=199)
    assert far.p_value == 1 / 200
    assert far.null.shape == (199,)
    assert abs(far.null.mean()) < 0.02 < far.statistic


@pytest.mark.slow
def test_proxy_a_distance_is_0_without_a_difference_and_2_when_separable():
    rng = np.random.default_rng(4)
    null = [proxy_a_distance(rng.normal(size=(60, 4)), rng.normal(size=(90, 4)), seed=i) for i in range(20)]
    assert abs(np.mean(null)) < 0.15
    assert proxy_a_distance(rng.normal(size=(60, 4)), rng.normal(20, 1, size=(40, 4))) == 2.0


def test_proxy_a_distance_of_a_known_error():
    """One threshold between N(0, 1) and N(d, 1) errs with probability Phi(-d / 2)."""
    rng = np.random.default_rng(5)
    d = 1.5
    bayes = 0.5 * math.erfc(d / 2 / math.sqrt(2))
    found = proxy_a_distance(rng.normal(size=(4000, 1)), rng.normal(d, 1, size=(2000, 1)))
    assert found == pytest.approx(2 * (1 - 2 * bayes), abs=0.06)


def test_unequal_sizes_do_not_look_like_a_distance():
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(200, 2)), rng.normal(size=(20, 2))
    assert proxy_a_distance(x, y, classifier=DummyClassifier(strategy="most_frequent")) == 0.0


def test_groups_keep_copies_out_of_the_fold_that_judges_them():
    rng = np.random.default_rng(7)
    x = rng.normal(size=(60, 5))
    copies = x + rng.normal(0, 1e-3, x.shape)
    nearest = KNeighborsClassifier(1)
    assert proxy_a_distance(x, copies, classifier=nearest) < -0.5
    groups = np.tile(np.arange(60), 2)
    assert abs(proxy_a_distance(x, copies, classifier=nearest, groups=groups)) < 0.5


@pytest.mark.parametrize("measure", [mmd2, mmd_test, proxy_a_distance])
def test_bad_samples(measure):
    with pytest.raises(MedtlError, match="expected \\(n, d\\) and \\(m, d\\)"):
        measure(np.zeros((5, 2)), np.zeros((5, 3)))
    with pytest.raises(MedtlError, match="NaN or infinity"):
        measure(np.full((5, 2), np.nan), np.zeros((5, 2)))


def test_bad_arguments():
    x, y = np.random.default_rng(8).normal(size=(2, 6, 2))
    with pytest.raises(MedtlError, match="at least 19"):
        mmd_test(x, y, permutations=5)
    with pytest.raises(MedtlError, match="7 folds for 6 and 6"):
        proxy_a_distance(x, y, folds=7)
    with pytest.raises(MedtlError, match="bandwidth: 0 found"):
        mmd2(x, y, 0)
    with pytest.raises(MedtlError, match="median distance 0"):
        mmd2(np.ones((4, 2)), np.ones((4, 2)))
