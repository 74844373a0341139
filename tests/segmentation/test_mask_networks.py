"""U-Net, DAR-UNet, gates and non-local attention: shapes, weights counted on paper, and reach."""

import pytest
import torch
from torch import nn

from medtl_core.errors import MedtlError
from medtl_core.segmentation.networks import (
    DARUNet,
    NonLocalAttention,
    OutputDiscriminator,
    QuadGate,
    TripletGate,
    UNet,
    start_weights,
)


def weights(network):
    return sum(w.numel() for w in network.parameters())


def test_a_gate_in_the_bottleneck_is_one_gate_whatever_the_widths():
    made = []

    def gate(channels):
        made.append(channels)
        return nn.Identity()

    UNet(1, 2, widths=(8, 16, 16), gate=gate, gate_bottleneck_only=True, seed=0)
    assert made == [16]


@pytest.mark.parametrize("size", [(16, 16), (17, 22), (5, 9)])
def test_a_unet_gives_the_size_that_it_got_even_or_odd(size):
    network = UNet(3, 4, widths=(8, 16, 16), seed=0)
    assert network(torch.randn(2, 3, *size)).shape == (2, 4, *size)
    volume = UNet(1, 2, spatial=3, widths=(4, 8), seed=0)
    assert volume(torch.randn(1, 1, 7, *size)).shape == (1, 2, 7, *size)


@pytest.mark.parametrize("half", ["from below", "skipped"])
def test_the_decoder_of_a_unet_uses_what_comes_from_below_and_what_skips(half):
    network = UNet(1, 2, widths=(4, 8), seed=0).eval()
    x = torch.randn(1, 1, 8, 8)
    with torch.no_grad():
        before = network(x)
        # Eight channels come from below, four skip: without its weights the output must change.
        part = slice(0, 8) if half == "from below" else slice(8, 12)
        network.up[0][0].weight[:, part] = 0
        assert not torch.allclose(network(x), before, atol=1e-3)


def test_padding_is_at_the_end_and_does_not_move_the_image():
    network = UNet(1, 2, widths=(4, 8), seed=0).eval()
    x = torch.randn(1, 1, 9, 9)
    padded = nn.functional.pad(x, (0, 1, 0, 1), mode="replicate")
    assert torch.equal(network(x), network(padded)[..., :9, :9])


def test_the_weights_of_a_unet_are_those_counted_on_paper():
    # Level 1: 3->8, 8->8; level 2: 8->16, 16->16; up: 24->8, 8->8; two norm weights a channel; head 8->2 + 2.
    on_paper = 9 * (3 * 8 + 8 * 8 + 8 * 16 + 16 * 16 + 24 * 8 + 8 * 8) + 4 * (8 + 16 + 8) + 8 * 2 + 2
    assert weights(UNet(3, 2, widths=(8, 16), seed=0)) == on_paper
    on_paper = 27 * (8 + 64 + 128 + 256 + 192 + 64) + 4 * 32 + 18
    assert weights(UNet(1, 2, spatial=3, widths=(8, 16), seed=0)) == on_paper


def test_the_weights_of_dar_unet_are_those_counted_on_paper():
    def conv(i, o, kernel=27):
        return i * o * kernel + o

    gate = 4 * (2 * 343 + 2)
    blocks = [(1, 8, True), (8, 16, False), (24, 8, False)]
    on_paper = sum(
        conv(i, o) + 2 * conv(o, o) + 4 * o + (0 if image else 2 * i) + conv(i, o) + 2 * o + gate
        for i, o, image in blocks
    )
    # Decoder gate: norm and convolution of both, norm and a 1x1x1 convolution, the transposed convolution.
    on_paper += 2 * 8 + conv(8, 16) + 2 * 16 + conv(16, 16) + 2 * 16 + conv(16, 1, 1) + conv(16, 16)
    on_paper += conv(8, 2) + conv(16, 2) + conv(4, 2)
    assert weights(DARUNet(1, 2, widths=(8, 16), seed=0)) == on_paper


@pytest.mark.parametrize("size", [(6, 8, 8), (5, 9, 11)])
def test_dar_unet_has_one_output_a_level_and_one_that_fuses_them(size):
    network = DARUNet(1, 3, widths=(8, 8, 16, 16), seed=0).eval()
    heads = network.heads(torch.randn(2, 1, *size))
    assert [tuple(head.shape) for head in heads] == [(2, 3, *size)] * 5
    assert torch.equal(network(x := torch.randn(1, 1, *size)), network.heads(x)[0])


def test_dar_unet_spares_the_depth_in_the_first_two_levels():
    network = DARUNet(1, 2, widths=(8, 8, 8, 8), seed=0)
    assert [tuple(block.path[2].stride) for block in network.down] == [(1, 2, 2), (1, 2, 2), (2, 2, 2)]
    assert network.multiples == (2, 8, 8)


def test_gates_have_the_weights_counted_on_paper_and_keep_the_shape():
    assert weights(QuadGate()) == 2752
    assert weights(TripletGate()) == 300
    assert weights(NonLocalAttention(8, 3)) == 2 * 8 * 8 + 5 * 8 // 2
    x, volume = torch.randn(2, 6, 9, 8), torch.randn(2, 6, 5, 9, 8)
    assert TripletGate()(x).shape == NonLocalAttention(6, 2)(x).shape == x.shape
    for gate in (QuadGate(), TripletGate(), NonLocalAttention(6, 3)):
        assert gate(volume).shape == volume.shape
    with pytest.raises(MedtlError, match="quad gate: features"):
        QuadGate()(x)


def test_a_quad_gate_is_the_mean_of_its_four_gates():
    gate = QuadGate().eval()
    start_weights(gate, 0)
    x = torch.randn(1, 3, 4, 5, 6)
    expected = torch.zeros_like(x)
    for axis, part in zip((1, 2, 3, 4), gate.gates, strict=True):
        moved = x.transpose(1, axis)
        pooled = torch.stack([moved.max(1).values, moved.mean(1)], 1)
        response = nn.functional.conv3d(pooled, part.convolution.weight, padding=3) / (1 + 1e-5) ** 0.5
        expected += (moved * torch.sigmoid(response)).transpose(1, axis) / 4
    assert torch.allclose(gate(x), expected, atol=1e-6)
    assert all(part.norm.momentum == 0.01 for part in gate.gates)


def test_a_triplet_gate_treats_the_slices_of_a_volume_one_by_one():
    gate = TripletGate().eval()
    volume = torch.randn(2, 3, 4, 9, 8)
    for depth in range(4):
        assert torch.allclose(gate(volume)[:, :, depth], gate(volume[:, :, depth]), atol=1e-6)


def moved_by_a_far_pixel(network, channels=4):
    x = torch.randn(1, channels, 16, 17, 17, generator=torch.Generator().manual_seed(0))
    far = x.clone()
    far[..., 0, 0, 0] += 3
    with torch.no_grad():
        return bool((network(far) - network(x))[..., 15, 15, 15].abs().max() > 1e-7)


def test_a_far_pixel_moves_non_local_attention_and_no_convolution():
    attention = NonLocalAttention(4, 3)
    start_weights(attention, 0)
    assert moved_by_a_far_pixel(attention.eval())
    assert not moved_by_a_far_pixel(nn.Conv3d(4, 4, 3, padding=1))
    assert not moved_by_a_far_pixel(TripletGate().eval())


def test_a_quad_gate_reaches_along_an_axis_but_not_across_the_diagonal():
    gate = QuadGate().eval()
    start_weights(gate, 0)
    x = torch.randn(1, 4, 17, 17, 17, generator=torch.Generator().manual_seed(0), requires_grad=True)
    (gradient,) = torch.autograd.grad(gate(x)[0, :, 8, 8, 8].sum(), x)
    reached = gradient[0].abs().sum(0) > 0
    assert reached[0, 8, 8]
    assert reached[8, 16, 8]
    assert not reached[0, 0, 0]


def test_non_local_attention_matches_its_equation():
    block = NonLocalAttention(4, 2)
    x = torch.randn(1, 4, 3, 5)
    flat = x[0].flatten(1).T

    def linear(part):
        return part.weight.flatten(1), part.bias

    q, k, v = (flat @ w.T + b for w, b in map(linear, (block.theta, block.phi, block.g)))
    w, b = linear(block.w)
    y = torch.softmax(q @ k.T, 1) @ v @ w.T + b
    assert torch.allclose(block(x)[0].flatten(1).T, flat + y, atol=1e-5)


def test_permuted_positions_permute_attention_and_not_a_convolution():
    order = torch.randperm(25, generator=torch.Generator().manual_seed(0))
    x = torch.randn(1, 4, 5, 5)
    shuffled = x.flatten(2)[..., order].view_as(x)
    block, conv = NonLocalAttention(4, 2), nn.Conv2d(4, 4, 3, padding=1)
    assert torch.allclose(block(shuffled).flatten(2), block(x).flatten(2)[..., order], atol=1e-5)
    assert not torch.allclose(conv(shuffled).flatten(2), conv(x).flatten(2)[..., order], atol=1e-2)


def test_the_discriminator_judges_patches():
    network = OutputDiscriminator(3, width=4, layers=2, seed=0)
    assert network(torch.rand(2, 3, 32, 48)).shape == (2, 1, 4, 6)
    assert weights(network) == 16 * (3 * 4 + 4 * 8 + 8 * 1) + 4 + 8 + 1


def test_the_seed_alone_decides_the_weights():
    one, two, other = (UNet(1, 2, widths=(4, 8), seed=seed) for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert not torch.equal(one.head.weight, other.head.weight)


def test_bad_networks_are_refused_in_a_line():
    with pytest.raises(MedtlError, match=r"widths are \(12, 24\)"):
        UNet(1, 2, widths=(12, 24), seed=0)
    with pytest.raises(MedtlError, match="spatial is 4"):
        UNet(1, 2, spatial=4, seed=0)
    with pytest.raises(MedtlError, match="two levels or more"):
        DARUNet(1, 2, widths=(8,), seed=0)
