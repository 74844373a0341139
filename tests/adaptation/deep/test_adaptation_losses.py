"""Losses of deep adaptation against NumPy, sums written out and finite differences."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist

from medtl_core.adaptation.deep import (
    coral_loss,
    moment_distance,
    multi_kernel_mmd2,
    reversal_coefficient,
    reverse_gradient,
)
from medtl_core.adaptation.deep.dan import WIDTHS
from medtl_core.adaptation.deep.gradient_reversal import domain_loss
from medtl_core.adaptation.deep.m3sda import AveragedClassifiers
from medtl_core.adaptation.deep.mdan import hard_bound, soft_bound

RNG = np.random.default_rng(0)
SOURCE, TARGET = RNG.normal(0, 1, (9, 4)), RNG.normal(0.7, 1.8, (6, 4))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_coral_loss_is_that_of_the_covariances_of_numpy(dtype):
    difference = np.cov(SOURCE, rowvar=False) - np.cov(TARGET, rowvar=False)
    found = coral_loss(torch.tensor(SOURCE, dtype=dtype), torch.tensor(TARGET, dtype=dtype))
    assert found.dtype == dtype
    assert float(found) == pytest.approx((difference**2).sum() / (4 * 4**2), rel=1e-5)


def test_coral_loss_of_a_single_output_compares_variances():
    found = coral_loss(torch.tensor(SOURCE[:, :1]), torch.tensor(TARGET[:, :1]))
    assert float(found) == pytest.approx((SOURCE[:, 0].var(ddof=1) - TARGET[:, 0].var(ddof=1)) ** 2 / 4)


def test_mmd_is_the_double_sum_over_pairs():
    median = np.median(pdist(np.concatenate([SOURCE, TARGET])))

    def k(a, b):
        return np.mean([np.exp(-((a - b) ** 2).sum() / (2 * u * median**2)) for u in WIDTHS])

    n, m = len(SOURCE), len(TARGET)
    within_s = sum(k(SOURCE[i], SOURCE[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within_t = sum(k(TARGET[i], TARGET[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    between = sum(k(a, b) for a in SOURCE for b in TARGET) / (n * m)
    found = multi_kernel_mmd2(torch.tensor(SOURCE), torch.tensor(TARGET))
    assert float(found) == pytest.approx(within_s + within_t - 2 * between, rel=1e-9)


def test_mmd_of_cases_that_are_all_alike_is_0():
    same = torch.ones(5, 3, requires_grad=True)
    found = multi_kernel_mmd2(same, same)
    found.backward()
    assert float(found.detach()) == pytest.approx(0)
    assert same.grad.isfinite().all()


def test_mmd_has_no_bias_where_the_distributions_are_equal():
    rng = torch.Generator().manual_seed(0)
    found = [
        float(multi_kernel_mmd2(*torch.randn(2, 12, 3, generator=rng, dtype=torch.float64)))
        for _ in range(200)
    ]
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(200)


def test_the_gradient_is_that_of_finite_differences_reversed():
    x = torch.tensor([0.3, -1.2, 2.0], dtype=torch.float64, requires_grad=True)

    def f(v):
        return (v.sin() * torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)).sum()

    f(reverse_gradient(x, 0.7)).backward()
    step = 1e-6
    slopes = [
        float(f(x.detach() + step * e) - f(x.detach() - step * e)) / (2 * step)
        for e in torch.eye(3, dtype=torch.float64)
    ]
    assert x.grad.tolist() == pytest.approx([-0.7 * slope for slope in slopes], rel=1e-6)
    assert torch.equal(reverse_gradient(x, 0.7), x)


def test_the_schedule_goes_from_0_to_almost_1():
    assert reversal_coefficient(0) == 0
    assert reversal_coefficient(0.5) == pytest.approx(2 / (1 + math.exp(-5)) - 1)
    assert reversal_coefficient(0.5) == pytest.approx(math.tanh(2.5))
    assert reversal_coefficient(1) == pytest.approx(0.99990920)


def test_the_domain_loss_weighs_both_domains_alike():
    found = domain_loss(torch.tensor([2.0]), torch.tensor([-1.0, 0.5, 0.0]))
    of_target = np.mean([np.log1p(np.exp(v)) for v in (-1.0, 0.5, 0.0)])
    assert float(found) == pytest.approx((np.log1p(np.exp(-2.0)) + of_target) / 2)
    assert float(domain_loss(torch.zeros(4), torch.zeros(7))) == pytest.approx(math.log(2))


def test_the_moment_distance_of_three_domains_on_paper():
    # Means 0, 3 and 1, raw second moments 1, 9 and 5 in the first of two dimensions, which alone has values.
    first = torch.tensor([[-1.0, 0], [1, 0]])
    second = torch.tensor([[3.0, 0], [3, 0]])
    target = torch.tensor([[-1.0, 0], [3, 0]])
    order_1 = (1 + 2) / 2 + 3
    order_2 = (4 + 4) / 2 + 8
    assert float(moment_distance([first, second], target)) == pytest.approx(order_1 + order_2)
    assert float(moment_distance([first, second], target, orders=1)) == pytest.approx(order_1)


def test_the_moment_distance_of_three_sources_counts_each_pair_once():
    domains = [np.array([[a, b], [c, d]]) for a, b, c, d in RNG.normal(size=(4, 4))]
    *sources, target = domains
    expected = 0.0
    for k in (1, 2):
        e = [(s**k).mean(0) for s in sources]
        t = (target**k).mean(0)
        expected += sum(np.linalg.norm(m - t) for m in e) / 3
        expected += (
            np.linalg.norm(e[0] - e[1]) + np.linalg.norm(e[0] - e[2]) + np.linalg.norm(e[1] - e[2])
        ) / 3
    found = moment_distance([torch.tensor(s) for s in sources], torch.tensor(target))
    assert float(found) == pytest.approx(expected)


def test_averaged_classifiers_average_probabilities():
    torch.manual_seed(0)
    classifiers = [torch.nn.Linear(3, 4) for _ in range(3)]
    features = torch.randn(5, 3)
    found = AveragedClassifiers(classifiers)(features).exp()
    expected = torch.stack([c(features).softmax(1) for c in classifiers]).mean(0)
    assert torch.allclose(found, expected, atol=1e-6)


def test_the_bounds_of_mdan_on_paper():
    errors, domains = torch.tensor([0.2, 0.9, 0.5]), torch.tensor([0.6, 0.7, 0.1])
    assert float(hard_bound(errors, domains, 2.0)) == pytest.approx(0.9 + 2 * 0.1)
    terms = [math.exp(10 * v) for v in (0.2 + 1.2, 0.9 + 1.4, 0.5 + 0.2)]
    assert float(soft_bound(errors, domains, 2.0, 10.0)) == pytest.approx(math.log(sum(terms)) / 10)
