"""Networks of GANs: shapes at every size, ranges, known counts, receptive fields, and seeds."""

import pytest
import torch
from torch import nn

from medtl_core.errors import MedtlError
from medtl_core.gans import cycle_networks, networks
from medtl_core.gans.networks.convolutional import halvings
from medtl_core.gans.networks.starting_weights import require_size

SIZES = range(16, 129, 4)


@pytest.mark.parametrize("size", SIZES)
def test_every_size_has_its_shapes(size):
    generator = networks.ConvolutionalGenerator(size=size, channels=3, latent_dim=4, width=1, seed=0)
    images = generator(torch.rand(2, 4) * 2 - 1)
    assert images.shape == (2, 3, size, size)
    assert images.abs().max() <= 1
    assert networks.ConvolutionalDiscriminator(size=size, channels=3, width=1, seed=0)(images).shape == (2,)
    acgan = networks.ConditionalGenerator(size=size, channels=1, classes=3, latent_dim=4, width=1, seed=0)
    grey = acgan(torch.rand(2, 4), torch.tensor([0, 2]))
    assert grey.shape == (2, 1, size, size)
    both = networks.TwoHeadDiscriminator(size=size, channels=1, classes=3, width=1, seed=0)(grey)
    assert [part.shape for part in both] == [(2,), (2, 3)]
    unet = networks.UNetGenerator(size=size, inputs=1, outputs=3, width=1, seed=0)
    assert unet(grey).shape == (2, 3, size, size)
    assert (
        networks.ResNetGenerator(inputs=3, outputs=1, width=1, blocks=1, seed=0)(images).shape == grey.shape
    )
    assert networks.AttentionNetwork(channels=3, width=1, seed=0)(images).shape == grey.shape


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_patch_logits_at_every_size(layers):
    """Strides of 2 halve the side, rounding down; the last two 4 x 4 convolutions take one pixel each."""
    discriminator = networks.PatchDiscriminator(channels=2, layers=layers, width=1, norm="instance", seed=0)
    for size in range(28, 129, 4):
        side = size // 2**layers - 2
        assert discriminator(torch.rand(2, 2, size, size)).shape == (2, 1, side, side)


@pytest.mark.parametrize(("size", "start"), [(28, 7), (32, 4), (48, 6), (64, 4), (96, 6), (128, 4)])
def test_the_smallest_map_of_the_generator(size, start):
    assert size >> halvings(size) == start


def test_mlp_shapes_and_ranges():
    z = torch.rand(5, 3) * 2 - 1
    images = networks.MLPGenerator((1, 8, 8), latent_dim=3, width=4, seed=0)(z)
    assert images.shape == (5, 1, 8, 8)
    assert images.abs().max() <= 1
    assert networks.MLPDiscriminator((1, 8, 8), width=4, seed=0)(images).shape == (5,)
    points = networks.MLPGenerator((1,), latent_dim=3, width=64, bounded=False, seed=0)(100 * z)
    assert points.shape == (5, 1)
    assert points.abs().max() > 1


def test_parameters_counted_on_paper():
    """32 px, width 2, 1 channel, latent 5: linear 5 -> 8*16, two inner steps, the last one with bias."""
    generator = networks.ConvolutionalGenerator(size=32, channels=1, latent_dim=5, width=2, seed=0)
    project, norms = 5 * 128 + 128, 2 * (8 + 4 + 2)
    convolutions = 16 * (8 * 4 + 4 * 2) + 16 * 2 + 1
    assert sum(p.numel() for p in generator.parameters()) == project + norms + convolutions
    discriminator = networks.ConvolutionalDiscriminator(size=32, channels=1, width=2, seed=0)
    convolutions = 16 * 2 + 2 + 16 * (2 * 4 + 4 * 8)
    assert sum(p.numel() for p in discriminator.parameters()) == convolutions + 2 * (4 + 8) + 8 * 16 + 1


def test_batch_norm_has_torch_own_epsilon_and_momentum_or_is_left_out():
    """Public code hands 0.8 over as epsilon where it means momentum."""
    generator = networks.ConvolutionalGenerator(size=32, channels=1, width=2, seed=0)
    norms = [m for m in generator.modules() if isinstance(m, nn.BatchNorm2d)]
    assert {(m.eps, m.momentum) for m in norms} == {(1e-5, 0.1)}
    for network in (
        networks.ConvolutionalGenerator(size=32, channels=1, width=2, seed=0, batch_norm=False),
        networks.ConvolutionalDiscriminator(size=32, channels=1, width=2, seed=0, batch_norm=False),
    ):
        assert not any(isinstance(m, nn.BatchNorm2d) for m in network.modules())


@pytest.mark.parametrize(("layers", "field"), [(1, 16), (2, 34), (3, 70)])
def test_a_patch_logit_sees_16_34_or_70_pixels(layers, field):
    discriminator = networks.PatchDiscriminator(channels=1, layers=layers, width=2, seed=0).eval()
    x = torch.rand(1, 1, 128, 128, requires_grad=True)
    logits = discriminator(x)
    middle = logits.shape[-1] // 2
    (slope,) = torch.autograd.grad(logits[0, 0, middle, middle], x)
    rows = slope[0, 0].abs().sum(1).nonzero().flatten()
    assert int(rows[-1] - rows[0]) + 1 == field


def test_patch_norms_can_be_switched_off():
    discriminator = networks.PatchDiscriminator(channels=1, layers=1, width=4, norm="instance", seed=0)
    x = torch.rand(2, 1, 28, 28)
    plain = discriminator(x, normalised=False)
    assert not torch.allclose(plain, discriminator(x))
    activation = nn.functional.leaky_relu
    by_hand = activation(discriminator.convolutions[0](activation(discriminator.first(x), 0.2)), 0.2)
    assert torch.allclose(plain, discriminator.last(by_hand))


def test_weights_start_at_a_spread_of_002_and_follow_the_seed_alone():
    def build(seed):
        return networks.ConvolutionalGenerator(size=32, channels=3, width=16, seed=seed)

    state = torch.get_rng_state()
    first, again, other = build(0), build(0), build(1)
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(first.project.weight, other.project.weight)
    assert first.project.weight.std().item() == pytest.approx(0.02, rel=0.02)
    norm = next(m for m in first.modules() if isinstance(m, nn.BatchNorm2d))
    assert norm.weight.mean().item() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    "build",
    [
        lambda: networks.MLPGenerator((1, 8, 8), seed=0),
        lambda: networks.MLPDiscriminator((1, 8, 8), seed=0),
        lambda: networks.ConditionalGenerator(size=16, channels=1, classes=2, width=1, seed=0),
        lambda: networks.TwoHeadDiscriminator(size=16, channels=1, classes=2, width=1, seed=0),
        lambda: networks.UNetGenerator(size=16, inputs=1, outputs=1, width=1, seed=0),
        lambda: networks.ResNetGenerator(inputs=1, outputs=1, width=1, seed=0),
        lambda: networks.PatchDiscriminator(channels=1, width=1, seed=0),
        lambda: networks.AttentionNetwork(channels=1, width=1, seed=0),
    ],
)
def test_no_network_touches_the_global_random_state(build):
    state = torch.get_rng_state()
    first, again = build(), build()
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))


def test_classes_change_the_image_of_a_latent_vector():
    generator = networks.ConditionalGenerator(size=16, channels=1, classes=2, width=4, seed=0).eval()
    z = torch.rand(1, 100)
    first, second = (generator(z, torch.tensor([k])) for k in (0, 1))
    assert not torch.allclose(first, second)
    with pytest.raises(MedtlError, match="no classes"):
        generator(z)


def test_skips_carry_detail_past_the_bottleneck():
    """With the deepest decoder silenced, the input still reaches the output."""
    unet = networks.UNetGenerator(size=32, inputs=1, outputs=1, width=4, seed=0).eval()
    nn.init.zeros_(unet.up[0][1].weight)
    x = torch.rand(1, 1, 32, 32)
    assert not torch.allclose(unet(x), unet(x.flip(-1)))


def test_a_single_image_can_train_the_unet():
    unet = networks.UNetGenerator(size=64, inputs=1, outputs=1, width=2, seed=0)
    unet(torch.rand(1, 1, 64, 64)).mean().backward()
    assert torch.isfinite(unet.down[0][0].weight.grad).all()


@pytest.mark.parametrize("size", [30, 12, 132, 0])
def test_odd_sizes_are_refused(size):
    with pytest.raises(MedtlError, match=rf"images of {size} px, expected a multiple of 4 from 16 to 128"):
        require_size("DCGAN generator", size)


def test_networks_refuse_what_they_cannot_be():
    with pytest.raises(MedtlError, match="images of 30 px"):
        networks.ConvolutionalGenerator(size=30, channels=1, seed=0)
    with pytest.raises(MedtlError, match="images of 30 px"):
        networks.UNetGenerator(size=30, inputs=1, outputs=1, seed=0)
    with pytest.raises(MedtlError, match="4 layers and norm 'batch'"):
        networks.PatchDiscriminator(channels=1, layers=4, seed=0)
    with pytest.raises(MedtlError, match="1 classes, expected at least 2"):
        networks.ConditionalGenerator(size=32, channels=1, classes=1, seed=0)
    with pytest.raises(MedtlError, match="width is 0, expected at least 1"):
        networks.ResNetGenerator(inputs=1, outputs=1, width=0, seed=0)


@pytest.mark.parametrize("layers", [1, 2])
def test_a_cycle_has_four_networks_with_starts_of_their_own(layers):
    both = cycle_networks(3, seed=5, layers=layers)
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    alone = networks.ResNetGenerator(inputs=3, outputs=3, width=8, blocks=2, seed=5)
    judge = networks.PatchDiscriminator(channels=3, layers=layers, width=16, norm="instance", seed=7)
    assert torch.equal(both.g(x), alone(x))
    assert torch.equal(both.d_x(x), judge(x))
    assert not torch.equal(both.g(x), both.f(x))
    assert not torch.equal(both.d_x(x), both.d_y(x))
