"""Subspace alignment, TCA, CORAL and optimal transport against NumPy and SciPy."""

import sys

import numpy as np
import pytest
from scipy.linalg import sqrtm, subspace_angles
from scipy.optimize import linprog

from medtl_core.adaptation.subspace import (
    align_subspaces,
    coral,
    domains_differ,
    optimal_transport,
    transfer_components,
    transport_plan,
)
from medtl_core.adaptation.subspace.component_analysis import component_vectors
from medtl_core.errors import MedtlError

RNG = np.random.default_rng(0)
SOURCE = RNG.normal(size=(40, 6)) @ RNG.normal(size=(6, 6)) + 1
TARGET = RNG.normal(size=(30, 6)) @ RNG.normal(size=(6, 6)) - 1


def test_coral_gives_the_source_the_covariance_of_the_target():
    space = coral(SOURCE, TARGET, shrinkage=0.0)
    c_s, c_t = (np.cov(x, rowvar=False, bias=True) for x in (SOURCE, TARGET))
    assert np.allclose(np.cov(space.source, rowvar=False, bias=True), c_t)
    expected = (SOURCE - SOURCE.mean(axis=0)) @ np.linalg.inv(sqrtm(c_s)) @ sqrtm(c_t)
    assert np.allclose(space.source, expected.real)
    assert np.allclose(space.target_map(TARGET[:3]), TARGET[:3] - TARGET.mean(axis=0))


def test_subspaces_are_aligned_as_in_scipy():
    space = align_subspaces(SOURCE, TARGET, components=3)
    centred = [x - x.mean(axis=0) for x in (SOURCE, TARGET)]
    p_s, p_t = (np.linalg.svd(x, full_matrices=False)[2][:3].T for x in centred)
    expected, mapped = centred[0] @ p_s @ p_s.T @ p_t, space.target_map(TARGET)
    signs = np.sign((mapped * (centred[1] @ p_t)).sum(axis=0))
    assert np.allclose(mapped, centred[1] @ p_t * signs)
    assert np.allclose(space.source, expected * signs)
    # The alignment's singular values are the cosines of SciPy's principal angles.
    cosines = np.linalg.svd(p_s.T @ p_t, compute_uv=False)
    assert np.allclose(np.sort(cosines), np.sort(np.cos(subspace_angles(p_s, p_t))))


def test_transfer_components_solve_the_generalised_problem():
    n, m, mu = 12, 9, 0.5
    cases = np.concatenate([SOURCE[:n], TARGET[:m]])
    kernel = cases @ cases.T / 10 + np.eye(n + m)
    vectors = component_vectors(kernel, n, 4, mu)
    centre = np.eye(n + m) - 1 / (n + m)
    apart = np.concatenate([np.full(n, 1 / n), np.full(m, -1 / m)])
    variance = kernel @ centre @ kernel
    against = kernel @ np.outer(apart, apart) @ kernel + mu * np.eye(n + m)
    assert np.allclose(vectors.T @ against @ vectors, np.eye(4))
    values = np.sort(np.linalg.eigvals(np.linalg.solve(against, variance)).real)[::-1]
    assert np.allclose(np.diag(vectors.T @ variance @ vectors), values[:4])
    assert np.allclose(variance @ vectors, against @ vectors * values[:4])


def test_transfer_components_bring_the_means_together():
    rng = np.random.default_rng(1)
    source, target = rng.normal(size=(80, 5)), rng.normal([3, 0, 0, 0, 0], 1, (70, 5))
    space = transfer_components(source, target, components=2, penalty=0.01)
    mapped = space.target_map(target)
    gap = np.linalg.norm(space.source.mean(axis=0) - mapped.mean(axis=0)) / space.source.std()
    before = np.linalg.norm(source.mean(axis=0) - target.mean(axis=0)) / source.std()
    assert gap < 0.1 * before


def test_the_map_of_the_target_is_that_of_the_fit():
    kernel_space = transfer_components(SOURCE, TARGET, components=2)
    again = kernel_space.target_map(SOURCE)
    assert np.allclose(again, kernel_space.source)


def test_a_transport_plan_is_the_optimum_of_the_linear_programme():
    source, target = SOURCE[:4], TARGET[:3]
    cost = ((source[:, None] - target[None]) ** 2).sum(axis=2)
    rows = np.kron(np.eye(4), np.ones(3))
    columns = np.kron(np.ones(4), np.eye(3))
    solved = linprog(
        cost.ravel(),
        A_eq=np.concatenate([rows, columns]),
        b_eq=np.concatenate([np.full(4, 1 / 4), np.full(3, 1 / 3)]),
    )
    plan = transport_plan(source, target)
    assert np.allclose(plan.sum(axis=1), 1 / 4)
    assert np.allclose(plan.sum(axis=0), 1 / 3)
    assert (plan * cost).sum() == pytest.approx(solved.fun)
    moved = optimal_transport(source, target)
    assert np.allclose(moved.source, 4 * solved.x.reshape(4, 3) @ target)
    assert np.array_equal(moved.target_map(target), target)


def test_transport_undoes_a_move():
    order = np.random.default_rng(2).permutation(40)
    assert np.allclose(optimal_transport(SOURCE, SOURCE[order] + 5).source, SOURCE + 5)


def test_equal_domains_do_not_differ_and_moved_ones_do():
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(60, 3)), rng.normal(size=(50, 3))
    assert not domains_differ(x, y, seed=0)[0]
    differ, test = domains_differ(x, y + 1, seed=0)
    assert differ
    assert test.p_value == pytest.approx(1 / 200)


@pytest.mark.parametrize("fit", [align_subspaces, transfer_components])
def test_a_subspace_needs_more_cases_than_dimensions(fit):
    with pytest.raises(MedtlError, match="the target has 4 cases, expected more than the 4 components"):
        fit(SOURCE, TARGET[:4], components=4)
    with pytest.raises(MedtlError, match="the source has 3 cases, expected more than the 4 components"):
        fit(SOURCE[:3], TARGET, components=4)
    with pytest.raises(MedtlError, match="7 components of 6 dimensions"):
        fit(SOURCE, TARGET, components=7)


def test_no_penalty_is_refused():
    with pytest.raises(MedtlError, match="penalty 0, expected above 0"):
        transfer_components(SOURCE, TARGET, components=2, penalty=0)


@pytest.mark.parametrize(("fit", "module"), [(coral, "skada"), (optimal_transport, "ot")])
def test_a_missing_library_is_named(fit, module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MedtlError, match=r'is not installed; pip install "medtl\[adaptation\]"'):
        fit(SOURCE, TARGET)
