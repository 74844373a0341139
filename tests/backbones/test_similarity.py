"""CKA and SVCCA against SciPy's principal angles, centring matrices, invariances and exact expectations."""

import numpy as np
import pytest
from scipy.linalg import null_space, orth, subspace_angles
from scipy.stats import ortho_group

from medtl_core.backbones.similarity import canonical_correlations, linear_cka, noise_floor, svcca
from medtl_core.errors import MedtlError

MEASURES = (linear_cka, svcca, canonical_correlations)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def related(rng, n, d1, d2):
    """Features that share some directions, with columns of unequal scale and a mean that is not 0."""
    shared = rng.normal(size=(n, 3))
    x = shared @ rng.normal(size=(3, d1)) + rng.normal(size=(n, d1)) * rng.uniform(0.1, 3, d1) + 5
    y = shared @ rng.normal(size=(3, d2)) + rng.normal(size=(n, d2)) * rng.uniform(0.1, 3, d2) - 2
    return x, y


def kernel_cka(x, y):
    """Kornblith et al. 2019, equation 3 with linear kernels and an explicit centring matrix."""
    n = len(x)
    h = np.eye(n) - np.ones((n, n)) / n

    def hsic(k, l):  # noqa: E741
        return np.trace(k @ h @ l @ h) / (n - 1) ** 2

    k, l = x @ x.T, y @ y.T  # noqa: E741
    return hsic(k, l) / np.sqrt(hsic(k, k) * hsic(l, l))


@pytest.mark.parametrize(("n", "d1", "d2"), [(60, 7, 12), (20, 40, 30), (25, 4, 100), (50, 1, 50)])
def test_cka_is_the_kernel_form(rng, n, d1, d2):
    x, y = related(rng, n, d1, d2)
    assert linear_cka(x, y) == pytest.approx(kernel_cka(x, y), rel=1e-10)
    assert linear_cka(y, x) == pytest.approx(linear_cka(x, y), rel=1e-10)


@pytest.mark.parametrize(("d1", "d2"), [(6, 9), (70, 90)])
def test_cka_ignores_rotation_scale_and_shift_but_not_a_linear_map(rng, d1, d2):
    x, y = related(rng, 50, d1, d2)
    rotation = ortho_group.rvs(d1, random_state=1)
    assert linear_cka(-300 * x @ rotation + 7, y / 50) == pytest.approx(linear_cka(x, y), rel=1e-9)
    assert linear_cka(x, x @ rotation) == pytest.approx(1, abs=1e-12)
    assert abs(linear_cka(x @ np.diag(np.geomspace(1, 30, d1)), y) - linear_cka(x, y)) > 0.01


def test_cka_of_single_columns_is_the_squared_pearson_correlation(rng):
    x, y = related(rng, 30, 1, 1)
    assert linear_cka(x, y) == pytest.approx(np.corrcoef(x[:, 0], y[:, 0])[0, 1] ** 2, rel=1e-10)


def test_canonical_correlations_are_cosines_of_principal_angles(rng):
    x, y = related(rng, 80, 6, 10)
    centred_x, centred_y = x - x.mean(0), y - y.mean(0)
    angles = subspace_angles(centred_x, centred_y)  # descending
    found = canonical_correlations(x, y)
    assert found.shape == (6,)
    np.testing.assert_allclose(found, np.cos(angles)[::-1], atol=1e-10)
    assert svcca(x, y, variance=1) == pytest.approx(np.cos(angles).mean(), abs=1e-10)


def test_svcca_keeps_the_fewest_principal_components_that_explain_the_share(rng):
    x, y = related(rng, 200, 12, 15)
    kept = []
    for features in (x, y):
        centred = features - features.mean(0)
        values, vectors = np.linalg.eigh(centred.T @ centred)
        shares = np.cumsum(values[::-1]) / values.sum()
        count = next(k for k, share in enumerate(shares, 1) if share >= 0.9)
        assert 1 < count < features.shape[1]
        kept.append(centred @ vectors[:, ::-1][:, :count])
    expected = np.cos(subspace_angles(*kept))
    assert len(canonical_correlations(x, y, 0.9)) == len(expected)
    assert svcca(x, y, variance=0.9) == pytest.approx(expected.mean(), abs=1e-10)


def test_svcca_at_variance_1_ignores_any_invertible_map(rng):
    x, y = related(rng, 90, 5, 8)
    mixed = x @ (rng.normal(size=(5, 5)) + 4 * np.eye(5)) @ np.diag([1e-3, 1, 1, 10, 1e3]) + 1
    assert svcca(mixed, y, variance=1) == pytest.approx(svcca(x, y, variance=1), abs=1e-9)
    assert svcca(x, mixed, variance=1) == pytest.approx(1, abs=1e-9)


def test_orthogonal_features_score_0(rng):
    x = orth(np.column_stack([np.ones(40), rng.normal(size=(40, 4))]))
    rest = null_space(np.column_stack([x, np.ones(40)]).T)
    centred = x - x.mean(0)
    assert linear_cka(centred, rest[:, :6]) == pytest.approx(0, abs=1e-12)
    assert svcca(centred, rest[:, :6], variance=1) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_repeated_or_constant_column_adds_no_direction(rng, dtype):
    x, y = related(rng, 100, 4, 5)
    wider = np.column_stack([x, x @ rng.normal(size=(4, 3)), np.full(100, 0.1)]).astype(dtype)
    assert len(canonical_correlations(wider, wider)) == 4
    np.testing.assert_allclose(
        canonical_correlations(wider, y.astype(dtype)), canonical_correlations(x, y), atol=1e-4
    )


@pytest.mark.parametrize("d", [5, 80])
def test_the_mean_noise_floor_of_cka_is_its_expectation_over_permutations(rng, d):
    x, y = related(rng, 40, d, d)
    k, l = (np.cov(features.T, ddof=0) for features in (x, y))  # noqa: E741
    expected = np.trace(k) * np.trace(l) / (39 * np.linalg.norm(k) * np.linalg.norm(l))
    floor = noise_floor(linear_cka, x, y, seed=0, repeats=300)
    assert abs(floor.mean() - expected) < 4 * floor.std(ddof=1) / np.sqrt(300)
    assert floor.max() < linear_cka(x, y)


def test_squared_correlations_of_independent_features_have_their_expected_sum(rng):
    # spans of dimension 3 and 7 at random in the 29 dimensions of centred vectors
    sums = [
        np.sum(canonical_correlations(rng.normal(size=(30, 3)), rng.normal(size=(30, 7))) ** 2)
        for _ in range(400)
    ]
    assert abs(np.mean(sums) - 3 * 7 / 29) < 4 * np.std(sums, ddof=1) / 20


def test_the_noise_floor_shuffles_rows_whole_and_by_its_seed(rng):
    x, y = related(rng, 30, 3, 4)
    seen = []

    def spy(a, b):
        seen.append(b)
        return linear_cka(a, b)

    floor = noise_floor(spy, x, y, seed=5, repeats=4)
    assert floor.shape == (4,)
    assert len(set(floor)) == 4
    for shuffled in seen:
        assert not np.array_equal(shuffled, y)
        assert sorted(map(tuple, shuffled)) == sorted(map(tuple, y))
    assert np.array_equal(floor, noise_floor(linear_cka, x, y, seed=5, repeats=4))
    assert not np.array_equal(floor, noise_floor(linear_cka, x, y, seed=6, repeats=4))


BAD = {
    "same n images": (np.ones((4, 2)), np.ones((5, 2))),
    r"expected \(n, d1\)": (np.ones(5), np.ones((5, 2))),
    "at least 3": (np.eye(2), np.eye(2)),
    "1 values of the second features are not finite": (
        np.eye(9)[:, :2],
        np.where(np.eye(9) == 1, [1] * 8 + [np.nan], 0),
    ),
    "first features are the same for all images": (np.full((9, 2), 0.1), np.eye(9)),
}


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("message", BAD)
def test_bad_features_are_one_line(measure, message):
    with pytest.raises(MedtlError, match=message) as caught:
        measure(*BAD[message])
    assert "\n" not in str(caught.value)


def test_svcca_needs_room_for_both_spans(rng):
    x, y = rng.normal(size=(12, 5)), rng.normal(size=(12, 6))
    assert canonical_correlations(x, y)[0] < 1 - 1e-6  # 12 = 5 + 6 + 1 is just enough
    with pytest.raises(MedtlError, match="11 images for 5 and 6 directions, expected at least 12"):
        svcca(x[:11], y[:11], variance=1)


@pytest.mark.parametrize("variance", [0, -0.5, 1.01, np.nan])
def test_a_variance_that_is_no_share_is_refused(rng, variance):
    with pytest.raises(MedtlError, match="variance"):
        svcca(rng.normal(size=(30, 2)), rng.normal(size=(30, 2)), variance)


def test_a_floor_without_repeats_is_refused(rng):
    with pytest.raises(MedtlError, match="repeats is 0"):
        noise_floor(linear_cka, rng.normal(size=(5, 2)), rng.normal(size=(5, 2)), seed=0, repeats=0)
