"""Batch-norm adaptation against moments computed with NumPy, layer after layer."""

import numpy as np
import pytest
import torch
from domains import moons
from torch import nn

from medtl_core.adaptation.deep import (
    AdaptableNetwork,
    Unlabelled,
    adapt_batch_norm,
    feature_network,
)
from medtl_core.errors import MedtlError


def two_layers():
    torch.manual_seed(0)
    extractor = nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Flatten()
    )
    return AdaptableNetwork(extractor, nn.Linear(4 * 9, 2), 4 * 9, 2)


CASES = torch.randn(37, 2, 5, 5, generator=torch.Generator().manual_seed(1)) * 3 + 1


def test_both_layers_hold_the_moments_of_all_target_cases():
    network = two_layers()
    adapted = adapt_batch_norm(network, Unlabelled(CASES), None, batch_size=10)
    first, _, _, second = adapted.extractor[1], *adapted.extractor[2:5]
    with torch.no_grad():
        x = network.extractor[0](CASES).numpy().astype(float)
        mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), ddof=1)
        assert np.allclose(first.running_mean, mean, rtol=1e-5)
        assert np.allclose(first.running_var, variance, rtol=1e-5)
        normal = (x - mean[:, None, None]) / np.sqrt(variance + 1e-5)[:, None, None]
        y = network.extractor[3](torch.tensor(np.maximum(normal, 0), dtype=torch.float32)).numpy()
    assert np.allclose(second.running_mean, y.mean((0, 2, 3)), rtol=1e-4)
    assert np.allclose(second.running_var, y.var((0, 2, 3), ddof=1), rtol=1e-4)


def test_order_and_batches_of_the_target_do_not_matter():
    network = two_layers()
    one = adapt_batch_norm(network, Unlabelled(CASES), None, batch_size=37)
    other = adapt_batch_norm(network, Unlabelled(CASES.flip(0)), None, batch_size=7)
    for a, b in zip(one.buffers(), other.buffers(), strict=True):
        assert torch.allclose(a.double(), b.double(), atol=1e-6)


def test_weights_and_the_network_given_stay():
    network = feature_network((2,), 2, seed=0)
    adapted = adapt_batch_norm(network, Unlabelled.of(moons(0)), None)
    for before, after in zip(network.parameters(), adapted.parameters(), strict=True):
        assert torch.equal(before, after)
    assert torch.equal(network.extractor[1].running_mean, torch.zeros(64))


def test_bad_input_is_one_line():
    plain = AdaptableNetwork(nn.Linear(2, 3), nn.Linear(3, 2), 3, 2)
    with pytest.raises(MedtlError, match="no batch norm"):
        adapt_batch_norm(plain, Unlabelled.of(moons(0)), None)
    with pytest.raises(MedtlError, match="1 target cases, expected at least 2"):
        adapt_batch_norm(feature_network((2,), 2, seed=0), Unlabelled(torch.zeros(1, 2)), None)
