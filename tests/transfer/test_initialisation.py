import copy

import numpy as np
import pytest
import torch
from torch import nn

from medtl_core.backbones import zoo
from medtl_core.transfer.initialisation import mean_var_init


@pytest.fixture(scope="module")
def pair():
    """A network whose weights have a pattern, and the same with nothing but their moments."""
    original = zoo.build("resnet18", num_classes=2, pretrained=False, seed=0).network
    with torch.no_grad():
        for parameter in original.parameters():
            ramp = torch.linspace(-1.0, 3.0, parameter.numel()).reshape(parameter.shape)
            parameter.copy_(0.3 + 0.1 * ramp)
        for module in original.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.fill_(5.0)
    return original, mean_var_init(copy.deepcopy(original), seed=1)


def test_each_tensor_has_the_moments_of_its_pretrained_twin(pair):
    original, changed = pair
    head = {id(p) for p in zoo.head_of(changed).parameters()}
    compared = 0
    for old, new in zip(original.parameters(), changed.parameters(), strict=True):
        if id(new) in head:
            continue
        a, b = old.detach().numpy().ravel(), new.detach().numpy().ravel()
        error = a.std(ddof=1) / np.sqrt(a.size)
        assert abs(b.mean() - a.mean()) < 5 * error
        # the standard deviation of n normal draws scatters by about sigma / sqrt(2 n)
        assert abs(b.std(ddof=1) - a.std(ddof=1)) < 5 * a.std(ddof=1) / np.sqrt(2 * a.size)
        assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(a.size)
        compared += 1
    assert compared == 60  # ResNet-18: 20 convolutions, 20 batch norms with scale and shift


def test_the_head_stays_and_running_statistics_start_again(pair):
    original, changed = pair
    assert torch.equal(zoo.head_of(original).weight, zoo.head_of(changed).weight)
    assert torch.equal(changed.bn1.running_mean, torch.zeros(64))
    assert torch.equal(changed.bn1.running_var, torch.ones(64))


def test_the_seed_decides_and_the_global_state_stays(pair):
    original, changed = pair
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    again = mean_var_init(copy.deepcopy(original), seed=1)
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(again.conv1.weight, changed.conv1.weight)
    other = mean_var_init(copy.deepcopy(original), seed=2)
    assert not torch.equal(other.conv1.weight, changed.conv1.weight)
