"""Every family as a chain of cut points: against forward hooks, counts on paper, and the network itself."""

from functools import cache

import pytest
import torch
from torch import Tensor, nn

from medtl_core.backbones.stages import activations, cut_points, prefix, stage_modules, stage_names
from medtl_core.backbones.zoo import build, head_of, pooled_features
from medtl_core.errors import MedtlError

# name: (pixels, blocks, stages), counted in the papers' tables
FAMILIES = {
    "resnet18": (64, 1 + 8, 5),
    "resnet26": (64, 1 + 8, 5),
    "vgg11": (64, 8, 5),
    "vgg11_bn": (64, 8, 5),
    "inception_v3": (96, 5 + 11, 4),
    "googlenet": (64, 3 + 9, 4),
    "densenet121": (64, 1 + 6 + 12 + 24 + 16 + 3 + 1, 5),
    "mobilenetv2_100": (64, 1 + 17 + 1, 9),
    "tf_efficientnet_lite0": (64, 1 + 16 + 1, 9),
    "legacy_xception": (64, 2 + 12 + 2, 4),
    "xception41": (64, 2 + 3 + 8 + 2, 4),
    "xception41p": (64, 2 + 3 + 8 + 2, 4),
}
QUICK = {"resnet18", "vgg11", "mobilenetv2_100", "tf_efficientnet_lite0"}
NAMES = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in FAMILIES]


@cache
def network_and_images(name: str) -> tuple[nn.Module, Tensor]:
    network = build(name, num_classes=3, pretrained=False, seed=1).network.eval()
    pixels = FAMILIES[name][0]
    return network, torch.rand(2, 3, pixels, pixels, generator=torch.Generator().manual_seed(2))


@pytest.fixture(params=NAMES)
def family(request: pytest.FixtureRequest) -> tuple[str, nn.Module, Tensor]:
    return request.param, *network_and_images(request.param)


@torch.no_grad()
def hooked(network: nn.Module, x: Tensor, paths: list[str]) -> tuple[list[Tensor], Tensor]:
    """Copies of what the modules return while the network runs, dense layers joined with their inputs."""
    seen: dict[str, Tensor] = {}

    def watch(path: str) -> None:
        def hook(module: nn.Module, inputs: tuple, output: Tensor) -> None:
            dense = isinstance(inputs[0], list)
            seen[path] = torch.cat([*inputs[0], output], dim=1) if dense else output.clone()

        handles.append(network.get_submodule(path).register_forward_hook(hook))

    handles: list = []
    for path in paths:
        watch(path)
    features = network.forward_features(x)
    for handle in handles:
        handle.remove()
    return [seen[path] for path in paths], features


@torch.no_grad()
def test_activations_are_what_hooks_see(family: tuple[str, nn.Module, Tensor]) -> None:
    _, network, x = family
    points = cut_points(network)
    expected, features = hooked(network, x, [point.module for point in points])
    found = activations(network, x)
    for point, ours, theirs in zip(points, found, expected, strict=True):
        assert torch.equal(ours, theirs), point
        assert ours.shape[1] == point.channels
        assert ours.std() > 0
    assert torch.equal(found[-1], features)


@torch.no_grad()
def test_prefix_alone_gives_the_activation(family: tuple[str, nn.Module, Tensor]) -> None:
    _, network, x = family
    found = activations(network, x)
    own = {id(parameter) for parameter in network.parameters()}
    for point, activation in zip(cut_points(network), found, strict=True):
        part = prefix(network, point)
        assert torch.equal(part(x), activation), point
        assert {id(parameter) for parameter in part.parameters()} <= own


def test_counts_on_paper(family: tuple[str, nn.Module, Tensor]) -> None:
    name, network, _ = family
    _, blocks, stages = FAMILIES[name]
    points = cut_points(network)
    assert [point.index for point in points] == list(range(blocks))
    assert len({point.name for point in points}) == blocks
    ends = cut_points(network, "stage")
    assert [point.stage for point in ends] == list(range(stages))
    assert len(stage_modules(network)) == stages
    last_of_stage = {point.stage: point.module for point in points}
    assert [point.module for point in ends] == list(last_of_stage.values())


@torch.no_grad()
def test_stage_level_is_a_selection_of_block_level(family: tuple[str, nn.Module, Tensor]) -> None:
    _, network, x = family
    by_module = {p.module: a for p, a in zip(cut_points(network), activations(network, x), strict=True)}
    ends = cut_points(network, "stage")
    for point, activation in zip(ends, activations(network, x, "stage"), strict=True):
        assert torch.equal(activation, by_module[point.module])


def test_stages_and_head_hold_every_parameter_once(family: tuple[str, nn.Module, Tensor]) -> None:
    _, network, _ = family
    modules = [module for stage in stage_modules(network) for module in stage]
    found = [id(parameter) for module in [*modules, head_of(network)] for parameter in module.parameters()]
    assert sorted(found) == sorted(id(parameter) for parameter in network.parameters())


@torch.no_grad()
def test_head_of_pooled_features_is_the_network(family: tuple[str, nn.Module, Tensor]) -> None:
    _, network, x = family
    features = pooled_features(network, x)
    assert features.shape == (2, head_of(network).in_features)
    assert torch.equal(head_of(network)(features), network(x))
    # global average pooling of the last cut point, in NumPy
    pooled = activations(network, x)[-1].numpy().mean(axis=(2, 3))
    torch.testing.assert_close(features, torch.from_numpy(pooled), rtol=1e-4, atol=1e-5)


def test_efficientnet_lite0_has_the_18_cut_points_of_its_paper() -> None:
    network, _ = network_and_images("tf_efficientnet_lite0")
    points = cut_points(network)
    assert [point.name for point in points][::17] == ["stem", "conv_head"]
    stages = [32, 16, 24, 24, 40, 40, 80, 80, 80, 112, 112, 112, 192, 192, 192, 192, 320, 1280]
    assert [point.channels for point in points] == stages


@pytest.mark.slow
def test_stage_boundaries_of_named_networks() -> None:
    xception, _ = network_and_images("legacy_xception")
    assert [names[0] for names in stage_names(xception)] == ["conv1", "block1", "block4", "block12"]
    aligned, _ = network_and_images("xception41")
    assert [names[0] for names in stage_names(aligned)] == ["stem.0", "blocks.0", "blocks.3", "blocks.11"]
    vgg, _ = network_and_images("vgg11")
    assert [point.channels for point in cut_points(vgg, "stage")] == [64, 128, 256, 512, 512]
    assert [point.name for point in cut_points(vgg)][2:4] == ["conv3_1", "conv3_2"]
    dense, _ = network_and_images("densenet121")
    assert [point.channels for point in cut_points(dense, "stage")] == [64, 128, 256, 512, 1024]


def test_looking_at_a_network_leaves_it_as_it_was() -> None:
    network = build("mobilenetv2_100", num_classes=2, pretrained=False, seed=0).network.train()
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    cut_points(network)
    stage_modules(network)
    assert all(module.training for module in network.modules())
    assert all(torch.equal(before[key], tensor) for key, tensor in network.state_dict().items())
    assert all(tensor.device.type == "cpu" for tensor in network.state_dict().values())


def test_training_a_prefix_trains_the_network() -> None:
    network = build("resnet18", num_classes=2, pretrained=False, seed=0).network
    first = cut_points(network)[1]
    part = prefix(network, first)
    part(torch.rand(2, 3, 32, 32)).sum().backward()
    assert network.get_parameter("conv1.weight").grad is not None
    assert network.get_parameter("layer1.1.conv1.weight").grad is None


def test_refusals_are_one_line() -> None:
    network, x = network_and_images("resnet18")
    foreign = cut_points(network_and_images("vgg11")[0])[0]
    for call in (
        lambda: cut_points(nn.Sequential(nn.Conv2d(3, 8, 3))),
        lambda: stage_modules(build("mobilenetv3_small_050", num_classes=2, pretrained=False).network),
        lambda: cut_points(network, "layer"),  # type: ignore[arg-type]
        lambda: activations(network, x, "blocks"),  # type: ignore[arg-type]
        lambda: prefix(network, foreign),
    ):
        with pytest.raises(MedtlError, match="expected") as caught:
            call()
        assert "\n" not in str(caught.value)
