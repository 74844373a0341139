"""Costs of all cuts in one walk: against cutting and counting each."""

import pytest

from medtl_core.backbones.cost import cost
from medtl_core.backbones.stages import cut_points
from medtl_core.backbones.zoo import build
from medtl_core.truncation.cut_costs import costs_of_cuts
from medtl_core.truncation.truncated import truncate


@pytest.mark.parametrize(
    "name",
    [
        "resnet18",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("densenet121", "tf_efficientnet_lite0")),
    ],
)
def test_each_cost_is_that_of_the_truncated_network(name: str) -> None:
    backbone = build(name, num_classes=3, pretrained=False, seed=0)
    points = cut_points(backbone.network)
    costs = costs_of_cuts(backbone.network, 64, 3)
    assert len(costs) == len(points)
    for point in points[:: len(points) // 4]:
        alone = truncate(backbone, point, num_classes=3, seed=0).network
        assert costs[point.index] == cost(alone, (1, 3, 64, 64))
    assert costs[-1] == cost(backbone.network, (1, 3, 64, 64))
