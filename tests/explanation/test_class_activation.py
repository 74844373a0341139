"""Class activation maps: by hand on a tiny network, and the layer that each family is read at."""

import pytest
import torch
from tiny_networks import TinyCNN
from torch import nn
from torch.nn import functional

from medtl_core.backbones.zoo import build
from medtl_core.explanation.explaining import explain
from medtl_core.truncation.truncated import truncate

X = torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(0))


def by_hand(network, x):
    """After `second`: y = w . mean(relu(A)) + b, so dy/dA_k = w_k [A_k > 0] / cells."""
    with torch.no_grad():
        a = network.second(network.act(network.first(x)))
        gradients = network.head.weight[1].view(1, 5, 1, 1) * (a > 0) / a[0, 0].numel()
    return a, gradients


def test_grad_cam_and_hires_cam_are_what_the_equations_say():
    network = TinyCNN(seed=3)
    a, gradients = by_hand(network, X)
    expected = torch.zeros(2, 12, 12)
    for k in range(5):
        expected += gradients[:, k].mean((1, 2))[:, None, None] * a[:, k]
    assert torch.allclose(explain(network, X, 1, "grad_cam", layer="second").maps, expected.relu(), atol=1e-7)
    cellwise = (gradients * a).sum(1).relu()
    assert torch.allclose(explain(network, X, 1, "hires_cam", layer="second").maps, cellwise, atol=1e-7)
    assert expected.relu().max() > 0
    assert not torch.allclose(expected.relu(), cellwise)


def test_score_cam_is_what_the_equations_say():
    network = TinyCNN(seed=3)
    a, _ = by_hand(network, X)
    expected = torch.zeros(2, 12, 12)
    with torch.no_grad():
        for i in range(2):
            scores = []
            for k in range(5):
                mask = (a[i, k] - a[i, k].min()) / (a[i, k].max() - a[i, k].min())
                scores.append(
                    float(network(X[i : i + 1] * mask)[0, 1] - network(torch.zeros(1, 3, 12, 12))[0, 1])
                )
            for k, weight in enumerate(torch.tensor(scores).softmax(0)):
                expected[i] += weight * a[i, k]
    found = explain(network, X, 1, "score_cam", layer="second").maps
    assert torch.allclose(found, expected.relu(), atol=1e-6)


def test_a_coarse_map_is_enlarged_without_moving_it():
    class Pooled(TinyCNN):
        def forward(self, x):
            return super().forward(functional.avg_pool2d(x, 2))

    x = torch.randn(1, 3, 24, 24, generator=torch.Generator().manual_seed(1))
    large = explain(Pooled(seed=3), x, 1, "grad_cam", layer="second")
    small = explain(TinyCNN(seed=3), functional.avg_pool2d(x, 2), 1, "grad_cam", layer="second")
    expected = functional.interpolate(small.maps[None], (24, 24), mode="bilinear")[0]
    assert large.grid == (12, 12)
    assert large.maps.shape == (1, 24, 24)
    assert torch.allclose(large.maps, expected, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "size", "grid"),
    [
        ("resnet18", 64, (8, 8)),
        ("vgg11", 64, (8, 8)),
        ("densenet121", 64, (8, 8)),
        ("mobilenetv2_100", 64, (8, 8)),
        ("tf_efficientnet_lite0", 64, (8, 8)),
        ("tf_efficientnet_lite0", 128, (8, 8)),
        pytest.param("inception_v3", 128, None, marks=pytest.mark.slow),
        pytest.param("googlenet", 128, (8, 8), marks=pytest.mark.slow),
        pytest.param("xception41", 128, (8, 8), marks=pytest.mark.slow),
    ],
)
def test_every_family_is_read_at_its_deepest_stage_of_8_by_8_cells(name, size, grid):
    network = build(name, num_classes=2, pretrained=False, seed=0).network
    x = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    result = explain(network, x, 1, "grad_cam")
    assert result.maps.shape == (1, size, size)
    assert min(result.grid) >= 8
    if grid:
        assert result.grid == grid


def test_reading_by_stage_agrees_with_a_hook_on_the_same_module():
    network = build("resnet18", num_classes=2, pretrained=False, seed=0).network
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    by_stage = explain(network, x, 0, "grad_cam")
    assert torch.allclose(by_stage.maps, explain(network, x, 0, "grad_cam", layer="layer2").maps, atol=1e-6)
    assert by_stage.maps.max() > 0


def test_truncated_networks_are_read_as_well():
    whole = build("resnet18", num_classes=2, pretrained=False, seed=0)
    cut = truncate(whole, "layer2.1", num_classes=2, seed=1).network.eval()
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    result = explain(cut, x, 1, "grad_cam")
    # At the last map before pooling and a linear head, dy/dA_k is the head's weight over the cells.
    with torch.no_grad():
        a = cut.forward_features(x)
        coarse = (cut.head.weight[1].view(1, -1, 1, 1) * a).sum(1, keepdim=True).relu() / 64
    assert result.grid == (8, 8)
    assert torch.allclose(
        result.maps, nn.functional.interpolate(coarse, (64, 64), mode="bilinear")[:, 0], atol=1e-6
    )
