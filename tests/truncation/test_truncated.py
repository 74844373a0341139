"""Truncated networks: against the full network's activations, the paper's parameter counts, and refusals."""

from functools import cache

import pytest
import torch
from torch import Tensor, nn

from medtl_core.backbones.cost import cost
from medtl_core.backbones.stages import activations, cut_named, cut_points, stage_modules
from medtl_core.backbones.zoo import Backbone, build, head_of, pooled_features
from medtl_core.data.tensors import DeviceDataset
from medtl_core.errors import MedtlError
from medtl_core.training import policies
from medtl_core.training.loop import FitConfig, fit, predict
from medtl_core.truncation.transfusion import transfuse
from medtl_core.truncation.truncated import Truncation, truncate

FAMILIES = {
    "resnet18": 32,
    "vgg11": 32,
    "vgg11_bn": 32,
    "inception_v3": 96,
    "googlenet": 64,
    "densenet121": 32,
    "mobilenetv2_100": 32,
    "tf_efficientnet_lite0": 32,
    "legacy_xception": 64,
    "xception41": 32,
    "xception41p": 32,
}
QUICK = {"resnet18"}
NAMES = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in FAMILIES]


@cache
def full(name: str) -> Backbone:
    backbone = build(name, num_classes=3, pretrained=False, seed=1)
    backbone.network.eval()
    return backbone


def images(pixels: int) -> Tensor:
    return torch.rand(2, 3, pixels, pixels, generator=torch.Generator().manual_seed(2))


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@torch.no_grad()
@pytest.mark.parametrize("name", NAMES)
def test_what_the_head_receives_is_the_pooled_activation_of_the_full_network(name: str) -> None:
    x = images(FAMILIES[name])
    network = full(name).network
    points = cut_points(network)
    expected = activations(network, x)
    ends = {point.module for point in cut_points(network, "stage")}
    inner = points[1 :: max(1, len(points) // 5)]
    for point in [p for p in points if p.module in ends or p in inner]:
        cut = truncate(full(name), point, num_classes=3, seed=0).network
        means = expected[point.index].numpy().mean(axis=(2, 3))
        torch.testing.assert_close(pooled_features(cut, x), torch.from_numpy(means), rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(cut(x), head_of(cut)(torch.from_numpy(means)), rtol=1e-4, atol=1e-5)
        assert expected[point.index].std() > 0


@torch.no_grad()
@pytest.mark.parametrize("name", ["resnet18", "densenet121", "tf_efficientnet_lite0"])
def test_a_flattened_head_receives_every_value_of_the_activation(name: str) -> None:
    x = images(FAMILIES[name])
    point = cut_points(full(name).network)[3]
    cut = truncate(full(name), point, num_classes=3, head="flattened", seed=0, image_size=x.shape[2]).network
    expected = activations(full(name).network, x)[3].flatten(1)
    assert expected.shape[1] > point.channels
    torch.testing.assert_close(pooled_features(cut, x), expected)
    with pytest.raises(MedtlError, match="images of the size"):
        cut(images(64))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("above", ["discarded", "random"])
def test_gradient_reaches_every_parameter(name: str, above: str) -> None:
    points = cut_points(full(name).network)
    recipe = Truncation(points[len(points) // 2].name, above)  # type: ignore[arg-type]
    network = recipe.apply(full(name), num_classes=3, seed=0).network.train()
    network(images(FAMILIES[name])).square().sum().backward()
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize("name", NAMES)
def test_no_dead_parameters_are_left(name: str) -> None:
    network = full(name).network
    point = cut_points(network)[-3]
    kept = activations_parameters(network, point.index)
    cut = truncate(full(name), point, num_classes=3, seed=0).network
    assert count(cut) == kept + 3 * point.channels + 3
    assert sum(count(m) for stage in stage_modules(cut) for m in stage) == kept


def activations_parameters(network: nn.Module, last: int) -> int:
    """Parameters that the activation of cut point `last` depends on, by asking autograd."""
    parameters = [p.requires_grad_(True) for p in network.parameters()]
    activation = activations(network, images(96))[last]
    grads = torch.autograd.grad(activation.sum(), parameters, allow_unused=True)
    return sum(p.numel() for p, grad in zip(parameters, grads, strict=True) if grad is not None)


@cache
def resnet50() -> Backbone:
    return build("resnet50", num_classes=2, pretrained=False, seed=0)


# arXiv 2106.05152, parameters in millions for two classes; a flattened head does not give the paper's figures
@pytest.mark.parametrize(
    ("cut", "head", "parameters"),
    [
        ("layer4.2", "pooled", 23.512),
        ("layer3.5", "pooled", 8.545),
        ("layer3.3", "pooled", 6.311),
        ("layer3.5", "flattened", 8.945),
        ("layer3.3", "flattened", 6.710),
    ],
)
def test_parameters_of_resnet50_are_those_of_the_paper(cut: str, head: str, parameters: float) -> None:
    network = truncate(resnet50(), cut, num_classes=2, head=head, seed=0, image_size=224).network  # type: ignore[arg-type]
    assert round(count(network) / 1e6, 3) == parameters


def test_transfusion_of_resnet50_has_the_parameters_of_the_paper() -> None:
    slim = transfuse(resnet50(), "layer3.5", num_classes=2, seed=0).network
    assert round(count(slim) / 1e6, 3) == 12.948
    wide = transfuse(resnet50(), "layer3.5", num_classes=2, width=1, seed=0).network
    assert count(wide) == count(resnet50().network)


@torch.no_grad()
@pytest.mark.parametrize(
    "name",
    [
        "resnet18",
        *[pytest.param(name, marks=pytest.mark.slow) for name in ("tf_efficientnet_lite0", "densenet121")],
    ],
)
def test_transfusion_keeps_what_is_below_the_cut_and_draws_anew_what_is_above(name: str) -> None:
    x = images(32)
    point = cut_points(full(name).network)[3]
    mixed = transfuse(full(name), point, num_classes=3, seed=5).network.eval()
    ours, theirs = activations(mixed, x), activations(full(name).network, x)
    assert torch.equal(ours[3], theirs[3])
    above = [p for m in mixed_units(mixed, 4) for p in m.parameters() if p.ndim > 1]
    before = {p.shape: p for m in mixed_units(full(name).network, 4) for p in m.parameters()}
    assert above
    assert not any(p.shape in before and torch.equal(p, before[p.shape]) for p in above)
    again = transfuse(full(name), point, num_classes=3, seed=5).network
    assert all(
        torch.equal(a, b)
        for a, b in zip(mixed.state_dict().values(), again.state_dict().values(), strict=True)
    )


def mixed_units(network: nn.Module, first: int) -> list[nn.Module]:
    return [network.get_submodule(point.module) for point in cut_points(network)[first:]]


def test_the_original_stays_as_it_is() -> None:
    backbone = build("resnet18", num_classes=3, pretrained=False, seed=1)
    before = {name: value.clone() for name, value in backbone.network.state_dict().items()}
    for above in ("discarded", "random", "kept"):
        other = Truncation("layer2.1", above).apply(backbone, num_classes=2, seed=0).network  # type: ignore[arg-type]
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.add_(1)
    assert all(torch.equal(before[name], value) for name, value in backbone.network.state_dict().items())


def test_the_seed_alone_fixes_the_head() -> None:
    torch.manual_seed(3)
    state = torch.get_rng_state()
    heads = [
        head_of(truncate(full("vgg11"), "conv3_1", num_classes=2, seed=s).network).weight for s in (0, 0, 1)
    ]
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def test_layer_wise_tuning_freezes_statistics_and_weights_up_to_the_cut() -> None:
    recipe = Truncation.method("lwft", "blocks.3.0")
    assert policies.policy_named("frozen_below_blocks.3.0").name == recipe.policy.name
    network = recipe.apply(full("tf_efficientnet_lite0"), num_classes=3, seed=0).network
    (phase,) = recipe.policy.phases(network)
    policies.set_mode(network, phase)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    optimiser = torch.optim.AdamW(policies.optimizer_groups(network, phase, 0.1, 0.1))
    network(images(64)).square().sum().backward()
    optimiser.step()
    last = cut_named(network, "blocks.3.0").index
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    frozen = tuple(f"units.{i}." for i in range(last + 1))
    assert {name for name in before if not name.startswith(frozen)} == changed


@pytest.mark.slow
def test_fit_predict_and_cost_take_a_truncated_network() -> None:
    cut = truncate(full("tf_efficientnet_lite0"), "blocks.1.1", num_classes=2, seed=0)
    labels = torch.arange(12) % 2
    pixels = (labels[:, None, None, None] * 200).to(torch.uint8).expand(12, 3, 32, 32).contiguous()
    data = DeviceDataset(pixels, labels)
    fit(cut.network, policies.FULL, data, data, cut.normalisation, FitConfig(epochs=15, batch_size=4), seed=0)
    assert (predict(cut.network, data, cut.normalisation).argmax(1) == labels.numpy()).mean() > 0.9
    whole, part = (cost(n, (1, 3, 32, 32)) for n in (full("tf_efficientnet_lite0").network, cut.network))
    assert part.parameters < whole.parameters
    assert part.macs < whole.macs
    assert [p.name for p in cut_points(cut.network)] == [
        p.name for p in cut_points(full("tf_efficientnet_lite0").network)
    ][:4]


def test_a_cut_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(MedtlError, match=r"'layer9'.*stem, layer1\.0, layer1\.1, layer2\.0") as caught:
        truncate(full("resnet18"), "layer9", num_classes=2)
    assert "\n" not in str(caught.value)


def test_refusals_are_one_line() -> None:
    backbone = full("resnet18")
    for call in (
        lambda: truncate(backbone, "layer1.0", num_classes=1),
        lambda: truncate(backbone, "layer1.0", num_classes=2, head="attention"),  # type: ignore[arg-type]
        lambda: truncate(backbone, "layer1.0", num_classes=2, head="flattened"),
        lambda: transfuse(backbone, "layer1.0", num_classes=2, width=0),
        lambda: Truncation.method("ttl", None),
        lambda: Truncation.method("best", "stem"),
        lambda: Truncation("stem", "thrown"),  # type: ignore[arg-type]
        lambda: Truncation.method("lwft", "layer9").policy.phases(backbone.network),
    ):
        with pytest.raises(MedtlError, match=r"expected|needs") as caught:
            call()
        assert "\n" not in str(caught.value)
