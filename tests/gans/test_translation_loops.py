"""Pix2Pix, CycleGAN and attention-guided CycleGAN."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from medtl_core.errors import MedtlError
from medtl_core.gans.loops import (
    AttentionCycleConfig,
    AttentionCycleGAN,
    CycleConfig,
    CycleGAN,
    Pix2PixConfig,
    Watching,
    train_attention_cyclegan,
    train_cyclegan,
    train_pix2pix,
    translate,
)
from medtl_core.gans.networks import AttentionNetwork, PatchDiscriminator, ResNetGenerator, UNetGenerator

DRAW = torch.Generator().manual_seed(0)
X = torch.rand(8, 1, 16, 16, generator=DRAW)
Y = torch.rand(6, 1, 16, 16, generator=DRAW)
MASKS = torch.zeros(8, 1, 16, 16)
MASKS[:, :, :8] = 1


def pix2pix(seed=0):
    return (
        UNetGenerator(size=16, inputs=1, outputs=1, width=4, seed=seed),
        PatchDiscriminator(channels=2, layers=1, width=2, seed=seed),
    )


def parts(seed=0):
    g, f = (ResNetGenerator(inputs=1, outputs=1, width=2, blocks=1, seed=seed + k) for k in (0, 1))
    d_x, d_y = (
        PatchDiscriminator(channels=1, layers=1, width=2, norm="instance", seed=seed + k) for k in (0, 1)
    )
    return g, f, d_x, d_y


def attentive(seed=0):
    return AttentionCycleGAN(*parts(seed), *(AttentionNetwork(channels=1, width=2, seed=k) for k in (0, 1)))


def run_pix2pix(seed=0, build=0, **how):
    return train_pix2pix(*pix2pix(build), X, 1 - X, Pix2PixConfig(steps=6, batch_size=2), seed=seed, **how)


def run_cycle(seed=0, build=0, **how):
    config = CycleConfig(steps=6, batch_size=2, pool=2, identity_weight=5.0)
    return train_cyclegan(CycleGAN(*parts(build)), X, Y, config, seed=seed, **how)


ATTENTION = AttentionCycleConfig(steps=6, batch_size=2, pool=2, switch_at=0.5)


def run_attention(seed=0, build=0, **how):
    return train_attention_cyclegan(attentive(build), X, Y, ATTENTION, seed=seed, x_masks=MASKS, **how)


def weights(result):
    return torch.cat([w.flatten().float() for w in result.generator.state_dict().values()])


class StoppedError(Exception):
    pass


LOOPS = [run_pix2pix, *[pytest.param(run, marks=pytest.mark.slow) for run in (run_cycle, run_attention)]]


@pytest.mark.parametrize("train", LOOPS)
def test_every_loop_repeats_itself_and_resumes_bit_for_bit(train, tmp_path):
    state = torch.get_rng_state()
    whole, other = train(), train(seed=1)
    assert torch.equal(state, torch.get_rng_state())
    assert not torch.equal(weights(whole), weights(other))

    def stop(snapshot):
        raise StoppedError

    for stopped_at in (3, 5):
        path = tmp_path / f"{stopped_at}.pt"
        with pytest.raises(StoppedError):
            train(checkpoint=path, checkpoint_every=2, watching=Watching(stop, stopped_at))
        resumed = train(build=7, checkpoint=path)
        assert torch.equal(weights(resumed), weights(whole))
        assert resumed.history == whole.history


@pytest.mark.parametrize("train", LOOPS)
def test_watching_changes_no_result(train):
    seen = []
    assert torch.equal(weights(train(watching=Watching(seen.append, 2))), weights(train()))
    assert [snapshot.step for snapshot in seen] == [2, 4, 6]
    assert all(0 <= x.min() <= x.max() <= 1 for x in seen[-1].images.values())
    assert seen[-1].grid().ndim == 3


@pytest.mark.slow
def test_pix2pix_learns_a_negative_from_pairs():
    config = Pix2PixConfig(steps=100, batch_size=4, learning_rate=5e-3)
    blocks = nn.functional.interpolate(torch.rand(16, 1, 4, 4, generator=DRAW), scale_factor=4)
    result = train_pix2pix(*pix2pix(), blocks, 1 - blocks, config, seed=0)
    history = result.history
    assert history[-1]["l1"] < 0.35 * history[0]["l1"]
    assert (translate(result.generator, blocks) - (1 - blocks)).abs().mean() < 0.12


def test_without_an_adversary_pix2pix_is_l1_regression():
    generator, discriminator = pix2pix()
    before = [w.clone() for w in discriminator.parameters()]
    config = Pix2PixConfig(steps=1, batch_size=8, adversarial_weight=0, l1_weight=2)
    train_pix2pix(generator, discriminator, X, 1 - X, config, seed=0)
    assert all(torch.equal(a, b) for a, b in zip(before, discriminator.parameters(), strict=True))


def test_identity_generators_have_a_cycle_of_0_and_are_said():
    class Same(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.ones(1))

        def forward(self, x):
            return self.w * x

    _, _, d_x, d_y = parts()
    config = CycleConfig(steps=1, batch_size=2, learning_rate=1e-9, identity_weight=1)
    result = train_cyclegan(CycleGAN(Same(), Same(), d_x, d_y), X, Y, config, seed=0)
    (entry,) = result.history
    assert entry["cycle"] == entry["identity"] == entry["change_x"] == 0
    assert [sign.partition(":")[0] for sign in result.signs] == ["G", "F"]
    assert "output equals input" in result.signs[0]


@pytest.mark.slow
def test_cycle_weight_keeps_the_round_trip():
    def round_trip(weight):
        config = CycleConfig(steps=60, batch_size=2, learning_rate=4e-3, cycle_weight=weight)
        history = train_cyclegan(CycleGAN(*parts()), X, Y, config, seed=0).history
        return np.mean([step["cycle"] for step in history[-20:]])  # one step has a batch of two images

    assert round_trip(10.0) < 0.8 * round_trip(0.0)


def test_attention_is_frozen_at_the_switch():
    seen = {}

    def keep(snapshot):
        seen[snapshot.step] = [w.clone() for w in networks.a_x.parameters()]

    networks = attentive()
    train_attention_cyclegan(networks, X, Y, ATTENTION, seed=0, x_masks=MASKS, watching=Watching(keep, 1))
    same = [all(torch.equal(a, b) for a, b in zip(seen[k], seen[k + 1], strict=True)) for k in range(1, 6)]
    assert same == [False, False, True, True, True]
    assert all(w.requires_grad for w in networks.a_x.parameters())


def test_after_the_switch_discriminators_see_the_foreground_without_norm():
    calls = []

    class Spy(PatchDiscriminator):
        def forward(self, x, normalised=True):
            calls.append((x.detach(), normalised))
            return super().forward(x, normalised)

    class Upper(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.zeros(1))

        def forward(self, x):
            return MASKS[: len(x)] * 0.5 + 0 * self.w

    g, f, _, _ = parts()
    spies = [Spy(channels=1, layers=1, width=2, norm="instance", seed=0) for _ in range(2)]
    networks = AttentionCycleGAN(g, f, *spies, Upper(), Upper())
    train_attention_cyclegan(networks, X, Y, replace(ATTENTION, steps=2), seed=0)
    first, second = calls[2:8], calls[8:]  # the first two are the look at the networks
    assert [normalised for _, normalised in first] == [True] * 6
    assert [normalised for _, normalised in second] == [False] * 6
    assert all(x[:, :, 8:].abs().min() > 0 for x, _ in first)
    assert all(x[:, :, 8:].abs().max() == 0 and x[:, :, :8].abs().min() > 0 for x, _ in second)


def test_where_attention_is_0_nothing_changes():
    class Upper(nn.Module):
        def forward(self, x):
            return MASKS[: len(x)]

    networks = AttentionCycleGAN(*parts(), Upper(), Upper())
    x = X * 2 - 1
    fake, attention = networks.to_y(x)
    assert torch.equal(fake[:, :, 8:], x[:, :, 8:])
    assert torch.equal(fake[:, :, :8], networks.g(x)[:, :, :8])
    assert torch.equal(attention, MASKS)


@pytest.mark.slow
def test_masks_on_half_of_the_images_teach_the_attention():
    config = AttentionCycleConfig(
        steps=20, batch_size=8, learning_rate=2e-2, switch_at=0.99, mask_weight=10, cycle_weight=1
    )
    annotated = torch.arange(8) < 4
    networks = attentive()
    with_masks = train_attention_cyclegan(
        networks, X, X, config, seed=0, x_masks=MASKS, x_annotated=annotated
    ).history
    assert with_masks[-1]["supervision"] < 0.5 * with_masks[0]["supervision"]
    without = train_attention_cyclegan(attentive(), X, X, replace(config, steps=2), seed=0).history
    assert without[0]["supervision"] == 0


@pytest.mark.parametrize(
    ("train", "words"),
    [
        (lambda: train_pix2pix(*pix2pix(), X, Y, Pix2PixConfig(batch_size=2), seed=0), "expected pairs"),
        (
            lambda: train_cyclegan(CycleGAN(*parts()), X, Y[:1], CycleConfig(batch_size=2), seed=0),
            "1 images, expected at least one batch of 2",
        ),
        (
            lambda: train_cyclegan(
                CycleGAN(*parts()), X, Y.expand(-1, 3, -1, -1), CycleConfig(batch_size=2), seed=0
            ),
            "CycleGAN, G: makes (1, 16, 16), images are (3, 16, 16)",
        ),
        (
            lambda: train_attention_cyclegan(attentive(), X, Y, ATTENTION, seed=0, x_masks=MASKS[:3]),
            "expected float",
        ),
        (
            lambda: train_attention_cyclegan(
                attentive(), X, Y, ATTENTION, seed=0, x_annotated=torch.ones(8, dtype=torch.bool)
            ),
            "annotated images without masks",
        ),
        (lambda: AttentionCycleConfig(switch_at=1.5), "switch_at is 1.5, expected from 0 to below 1"),
        (lambda: translate(pix2pix()[0], X * 2), "translate: images from"),
    ],
)
def test_what_does_not_fit_is_refused(train, words):
    with pytest.raises(MedtlError, match=re.escape(words)) as error:
        train()
    assert "\n" not in str(error.value)
