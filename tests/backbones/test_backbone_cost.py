"""Parameters and multiply-accumulates against counts by hand."""

import pytest
import torch
from torch import nn

from medtl_core.backbones.cost import cost
from medtl_core.backbones.zoo import build
from medtl_core.errors import MedtlError
from medtl_core.training.policies import LINEAR_PROBE, set_mode


def test_convolution_and_linear_by_hand() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1, groups=4),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 5),
    )
    found = cost(network, (1, 3, 16, 16))
    # each of 8 x 8 output pixels: 8 channels of 3 x 3 x 3, then 8 channels of 3 x 3 x 2; then 8 x 5 once
    assert found.macs == 8 * 8 * (8 * 27 + 8 * 18) + 8 * 5
    assert found.parameters == (8 * 27 + 8) + 16 + (8 * 18 + 8) + (8 * 5 + 5)
    assert found.trainable == found.parameters
    assert cost(network, (7, 3, 16, 16)).macs == 7 * found.macs


def test_resnet18_at_224_pixels_has_its_published_cost() -> None:
    network = build("resnet18", num_classes=1000, pretrained=False).network
    found = cost(network, (1, 3, 224, 224))
    assert found.parameters == 11_689_512
    assert found.macs == 1_814_073_344


def test_trainable_follows_the_policy_and_the_network_is_left_alone() -> None:
    network = build("resnet18", num_classes=2, pretrained=False).network
    set_mode(network, LINEAR_PROBE.phases(network)[0])
    network.get_submodule("layer4").train()
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    found = cost(network, (1, 3, 32, 32))
    assert (found.parameters, found.trainable) == (11_176_512 + 1_026, 1_026)
    assert network.get_submodule("layer4").training
    assert not network.get_submodule("layer3").training
    assert all(torch.equal(before[key], tensor) for key, tensor in network.state_dict().items())


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 1, 3, 32, 32), (1, 3, 0, 32), (1, 5, 32, 32)])
def test_a_wrong_shape_is_one_line(shape: tuple[int, ...]) -> None:
    network = build("resnet18", num_classes=2, pretrained=False).network
    with pytest.raises(MedtlError, match="shape") as caught:
        cost(network, shape)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
