"""Effective receptive fields against closed forms: convolutions, gates counted on paper, attention."""

from math import sqrt

import pytest
import torch
from torch import nn

from medtl_core.errors import MedtlError
from medtl_core.segmentation.networks import NonLocalAttention, QuadGate, UNet, start_weights
from medtl_core.segmentation.receptive_field import effective_receptive_field


def uniform_convolutions(n, kernel=3):
    layers = [nn.Conv2d(1, 1, kernel, padding=kernel // 2, bias=False) for _ in range(n)]
    for layer in layers:
        nn.init.constant_(layer.weight, 1 / kernel**2)
    return nn.Sequential(*layers)


def seeded(module):
    def make(seed):
        start_weights(module, seed)
        return module

    return make


@pytest.mark.parametrize(("n", "kernel"), [(1, 3), (4, 3), (2, 7)])
def test_equal_convolutions_spread_as_luo_derives(n, kernel):
    field = effective_receptive_field(lambda _: uniform_convolutions(n, kernel), (1, 33, 33), draws=1, seed=0)
    assert field.spread == pytest.approx(sqrt(n * (kernel**2 - 1) / 12), rel=1e-5)
    side = n * (kernel - 1) + 1
    assert field.reached == pytest.approx((side / 33) ** 2)
    assert field.outside(side) == pytest.approx(0, abs=1e-6)


def test_one_convolution_has_the_size_of_its_kernel():
    field = effective_receptive_field(lambda _: uniform_convolutions(1, 5), (1, 17, 17), draws=1, seed=0)
    assert field.luo_size == pytest.approx(5)
    assert field.outside(3) == pytest.approx(16 / 25)


def test_a_quad_gate_reaches_the_voxels_counted_on_paper():
    # Three bars of 7 x 7 along the axes and the cube of the channel gate, which lies in all of them.
    side = 17
    on_paper = 3 * side * 49 - 2 * 343
    field = effective_receptive_field(seeded(QuadGate()), (4, side, side, side), draws=2, seed=0)
    assert field.reached == pytest.approx(on_paper / side**3)
    twice = seeded(nn.Sequential(QuadGate(), QuadGate()))
    assert effective_receptive_field(twice, (4, side, side, side), draws=2, seed=0).reached > 0.5


def test_non_local_attention_reaches_every_pixel_and_a_gate_or_convolution_does_not():
    field = effective_receptive_field(seeded(NonLocalAttention(4, 2)), (4, 15, 15), draws=3, seed=0)
    assert field.reached == 1
    plain = effective_receptive_field(seeded(nn.Conv2d(4, 4, 3, padding=1)), (4, 15, 15), draws=3, seed=0)
    assert plain.reached == pytest.approx(9 / 225)
    assert field.spread > plain.spread


def test_the_mode_is_restored_and_the_seed_decides():
    network = UNet(1, 2, widths=(4, 8), seed=0).train()
    one, two = (effective_receptive_field(lambda _: network, (1, 16, 16), draws=2, seed=0) for _ in range(2))
    assert network.training
    assert (one.gradient == two.gradient).all()


def test_what_has_no_receptive_field_is_refused():
    with pytest.raises(MedtlError, match=r"outputs \(8, 8\) for inputs \(16, 16\)"):
        effective_receptive_field(lambda _: nn.MaxPool2d(2), (1, 16, 16), seed=0)
    with pytest.raises(MedtlError, match="does not depend on the input"):
        effective_receptive_field(lambda _: nn.Hardtanh(-1e-9, 1e-9), (1, 5, 5), seed=0)
    with pytest.raises(MedtlError, match="0 draws of"):
        effective_receptive_field(lambda _: nn.Identity(), (1, 5, 5), draws=0, seed=0)


def test_the_gradient_is_that_of_the_centre():
    torch.manual_seed(0)
    conv = nn.Conv2d(1, 1, 3, padding=1)
    field = effective_receptive_field(lambda _: conv, (1, 7, 7), draws=1, seed=0)
    assert field.gradient[2:5, 2:5] == pytest.approx(conv.weight[0, 0].detach().abs().numpy(), rel=1e-5)
