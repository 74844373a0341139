"""Heads, seeds, stems and memory format of the networks; GoogLeNet against torchvision's."""

import math
from itertools import pairwise

import pytest
import torch
import torchvision.models
from torch import Tensor, nn

from medtl_core.backbones.googlenet import GoogLeNet
from medtl_core.backbones.stages import activations
from medtl_core.backbones.zoo import build, head_of, pooled_features
from medtl_core.data.tensors import Normalisation
from medtl_core.errors import MedtlError


def parameters(seed: int | None, name: str = "mobilenetv2_100", small_input: bool = False) -> Tensor:
    built = build(name, num_classes=2, pretrained=False, seed=seed, small_input=small_input)
    return torch.cat([parameter.detach().reshape(-1) for parameter in built.network.parameters()])


@pytest.mark.parametrize("name", ["mobilenetv2_100", "googlenet", "vgg11"])
def test_the_seed_fixes_a_random_network(name: str) -> None:
    assert torch.equal(parameters(4, name), parameters(4, name))
    assert not torch.equal(parameters(4, name), parameters(5, name))


def test_the_seed_fixes_a_small_input_stem() -> None:
    assert torch.equal(parameters(4, "resnet18", True), parameters(4, "resnet18", True))


def test_seed_zero_is_a_seed_and_none_is_not() -> None:
    torch.manual_seed(1)
    first = parameters(0)
    torch.manual_seed(2)
    assert torch.equal(first, parameters(0))
    assert not torch.equal(parameters(None), parameters(None))


def test_building_with_a_seed_leaves_the_global_state_alone() -> None:
    torch.manual_seed(9)
    before = torch.get_rng_state()
    parameters(3)
    assert torch.equal(before, torch.get_rng_state())


def test_pretrained_and_random_networks_of_a_seed_share_their_head() -> None:
    heads = [
        head_of(build(num_classes=5, pretrained=pretrained, seed=seed).network).weight
        for pretrained, seed in ((True, 0), (False, 0), (True, 1))
    ]
    assert heads[0].shape == (5, 1280)
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "resnet18", "inception_v3", "vgg11"])
def test_heads_are_drawn_alike_in_every_family(name: str) -> None:
    head = head_of(build(name, num_classes=2, pretrained=False, seed=0).network)
    bound = 1 / math.sqrt(head.in_features)
    assert 0.9 * bound < float(head.weight.detach().abs().max()) <= bound
    assert float(head.bias.detach().abs().max()) <= bound


def test_networks_are_channels_last() -> None:
    for name in ("resnet18", "googlenet"):
        network = build(name, num_classes=2, pretrained=False).network
        weights = [module.weight for module in network.modules() if isinstance(module, nn.Conv2d)]
        assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in weights)


def test_random_networks_take_the_normalisation_of_their_name() -> None:
    lite, resnet = (
        build(name, num_classes=2, pretrained=False) for name in ("tf_efficientnet_lite0", "resnet18")
    )
    assert lite.weights == resnet.weights == "random"
    assert lite.normalisation == Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert resnet.normalisation == Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@torch.no_grad()
def test_a_small_input_stem_keeps_the_resolution() -> None:
    small = build("resnet18", num_classes=2, pretrained=False, small_input=True).network.eval()
    plain = build("resnet18", num_classes=2, pretrained=False).network.eval()
    x = torch.rand(1, 3, 28, 28)
    assert [a.shape[-1] for a in activations(small, x, "stage")] == [28, 28, 14, 7, 4]
    assert [a.shape[-1] for a in activations(plain, x, "stage")] == [7, 7, 4, 2, 1]
    assert small.get_parameter("conv1.weight").shape == (64, 3, 3, 3)
    # three input channels of a 3 x 3 kernel instead of a 7 x 7 one
    sizes = [sum(p.numel() for p in network.parameters()) for network in (plain, small)]
    assert sizes[0] - sizes[1] == 64 * 3 * (49 - 9)


@torch.no_grad()
def test_a_pretrained_small_input_stem_keeps_its_kernels(save_weights, images: Tensor) -> None:  # type: ignore[no-untyped-def]
    published = build("resnet18", num_classes=2, pretrained=False, seed=8).network
    save_weights("resnet18", published.state_dict())
    network = build("resnet18", num_classes=2, pretrained=True, small_input=True).network.eval()
    assert torch.equal(network.get_parameter("conv1.weight"), published.get_parameter("conv1.weight"))
    dense = activations(network, images[..., :28, :28], "stage")
    assert [a.shape[-1] for a in dense] == [28, 28, 14, 7, 4]


@torch.no_grad()
def test_vgg_takes_small_images_and_has_no_hidden_layers() -> None:
    network = build("vgg16", num_classes=2, pretrained=False).network.eval()
    # 13 convolutions of 3 x 3 and their biases, then 512 features
    widths = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
    body = sum(9 * a * b + b for a, b in pairwise(widths))
    assert sum(p.numel() for p in network.parameters()) == body + 2 * 512 + 2
    assert pooled_features(network, torch.rand(2, 3, 32, 32)).shape == (2, 512)


@torch.no_grad()
def test_googlenet_is_torchvisions(images: Tensor) -> None:
    theirs = torchvision.models.googlenet(weights=None, init_weights=False, transform_input=True).eval()
    ours = GoogLeNet(1000).eval()
    state = {key: tensor for key, tensor in theirs.state_dict().items() if not key.startswith("aux")}
    ours.load_state_dict(state, strict=True)
    # torchvision turns ImageNet's normalisation into mean = std = 0.5 inside the network, ours is told
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[:, :, None, None]
    torch.testing.assert_close(
        ours((images - 0.5) / 0.5), theirs((images - mean) / std), rtol=1e-4, atol=1e-5
    )


def test_refusals_are_one_line() -> None:
    for call, said in (
        (lambda: build("resnet81", num_classes=2, pretrained=False), "near it: .*resnet18"),
        (lambda: build("resnet18.nonsense", num_classes=2, pretrained=False), "resnet18.nonsense"),
        (lambda: build("resnet18", num_classes=1, pretrained=False), "num_classes is 1, expected at least 2"),
        (lambda: build(num_classes=2, pretrained=False, small_input=True), "small_input is for ResNets"),
        (lambda: build("resnet18d", num_classes=2, pretrained=False, small_input=True), "plain 7 x 7 stem"),
        (lambda: head_of(nn.ReLU()), "expected a linear head"),
    ):
        with pytest.raises(MedtlError, match=said) as caught:
            call()
        assert "\n" not in str(caught.value)
