"""Training with masks and adaptation of outputs: what is learnt, what reaches what, and what is refused."""

import copy

import numpy as np
import pytest
import torch

from medtl_core.data.phantoms import draw_volumes
from medtl_core.errors import MedtlError
from medtl_core.segmentation.batches import labelled_batches, unlabelled_batches
from medtl_core.segmentation.cases import SegmentationCases, UnlabelledImages, volume_cases
from medtl_core.segmentation.dice import measure_dice
from medtl_core.segmentation.losses import dice_focal_loss
from medtl_core.segmentation.networks import DARUNet, OutputDiscriminator, UNet
from medtl_core.segmentation.output_space import (
    OutputAdaptationConfig,
    adapt_output_space,
    deception_loss,
    discriminator_loss,
)
from medtl_core.segmentation.supervised import SegmentationConfig, segment
from medtl_core.training.looks import Looks

VOLUMES = draw_volumes(24, seed=0, size=16)
T1, T2 = (
    volume_cases(name, VOLUMES.volumes[name], VOLUMES.masks, VOLUMES.mask_names)
    for name in ("t1_like", "t2_like")
)


def slices(cases, depth=8):
    return SegmentationCases(cases.name, cases.images[:, :, depth], cases.masks[:, depth], cases.class_names)


SOURCE, TARGET = slices(T1), slices(T2).without_masks()
QUICK = OutputAdaptationConfig(steps=4, batch_size=4, adversarial_weight=0.1)


def unet(seed=0):
    return UNet(1, 3, widths=(8, 16), seed=seed)


def discriminator(seed=0):
    return OutputDiscriminator(3, width=4, layers=2, seed=seed)


def equal(one, other):
    return all(
        torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    )


def test_looks_are_kept_and_change_nothing():
    seen = []

    def score(network):
        seen.append(float(np.nanmean(measure_dice(network, SOURCE))))
        return seen[-1]

    looks = {"looks": Looks(score, times=2)}
    networks = [unet() for _ in range(4)]
    plain = segment(networks[0], SOURCE, SegmentationConfig(steps=4, batch_size=4), seed=0)
    looked = segment(networks[1], SOURCE, SegmentationConfig(steps=4, batch_size=4, **looks), seed=0)
    watched = OutputAdaptationConfig(steps=4, batch_size=4, adversarial_weight=0.1, **looks)
    adapted = adapt_output_space(networks[2], discriminator(), SOURCE, TARGET, watched, seed=0)
    without = adapt_output_space(networks[3], discriminator(), SOURCE, TARGET, QUICK, seed=0)
    for history, bare in ((looked, plain), (adapted, without)):
        assert ["held_out" in entry for entry in history] == [False, True, False, True]
        assert [{k: v for k, v in entry.items() if k != "held_out"} for entry in history] == bare
    assert equal(networks[0], networks[1])
    assert equal(networks[2], networks[3])
    assert seen[1] == looked[-1]["held_out"] == float(np.nanmean(measure_dice(networks[1], SOURCE)))
    assert seen[3] == adapted[-1]["held_out"] == float(np.nanmean(measure_dice(networks[2], SOURCE)))


@pytest.mark.slow
def test_a_unet_fits_phantoms_and_finds_the_structures_of_new_ones():
    network = UNet(1, 3, spatial=3, widths=(16, 32), seed=0)
    history = segment(
        network,
        T1.select(np.arange(18)),
        SegmentationConfig(steps=60, batch_size=4),
        seed=0,
    )
    assert history[-1]["loss"] < history[0]["loss"] / 2
    dice = measure_dice(network, T1.select(np.arange(18, 24)))
    assert dice.shape == (6, 2)
    assert dice.mean() > 0.8
    assert measure_dice(network, T2).mean() < dice.mean() - 0.2
    assert not network.training


def test_dar_unet_is_trained_on_all_of_its_outputs():
    network = DARUNet(1, 3, widths=(8, 8), seed=0)
    before = copy.deepcopy(network)
    segment(
        network, T1, SegmentationConfig(steps=2, batch_size=2, crop=(8, 12, 12), loss=dice_focal_loss), seed=0
    )
    for side, old in zip(network.sides, before.sides, strict=True):
        assert not torch.equal(side.weight, old.weight)
    assert not torch.equal(network.fuse.weight, before.fuse.weight)


def test_the_same_seed_gives_the_same_network_and_another_seed_another():
    networks = []
    for seed in (0, 0, 1):
        networks.append(unet())
        adapt_output_space(networks[-1], discriminator(), SOURCE, TARGET, QUICK, seed=seed)
    assert equal(networks[0], networks[1])
    assert not equal(networks[0], networks[2])


def test_without_the_adversarial_loss_adaptation_is_source_only_training():
    adapted, plain = unet(), unet()
    adapt_output_space(
        adapted,
        discriminator(),
        SOURCE,
        TARGET,
        OutputAdaptationConfig(steps=4, batch_size=4, adversarial_weight=0),
        seed=0,
    )
    segment(plain, SOURCE, SegmentationConfig(steps=4, batch_size=4), seed=0)
    assert equal(adapted, plain)
    moved = unet()
    adapt_output_space(moved, discriminator(), SOURCE, TARGET, QUICK, seed=0)
    assert not equal(moved, plain)


def test_the_gradients_go_where_the_paper_says():
    network, judge = unet(), discriminator()
    source, target = (torch.softmax(network(torch.randn(2, 1, 16, 16)), 1) for _ in range(2))
    deception_loss(judge, target).backward(retain_graph=True)
    assert all(w.grad is None for w in judge.parameters())
    assert network.head.weight.grad.abs().sum() > 0
    assert all(w.requires_grad for w in judge.parameters())

    network.zero_grad(set_to_none=True)
    discriminator_loss(judge, source, target).backward()
    assert all(w.grad is not None for w in judge.parameters())
    assert all(w.grad is None for w in network.parameters())


def test_the_two_players_pull_in_opposite_directions():
    judge = discriminator()
    target = torch.softmax(torch.randn(2, 3, 16, 16), 1).requires_grad_()
    source = torch.softmax(torch.randn(2, 3, 16, 16), 1)
    logits = judge(target.detach())
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
    assert torch.allclose(deception_loss(judge, target), expected)
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    both = [judge(source), logits]
    expected = (bce(both[0], torch.ones_like(both[0])) + bce(both[1], torch.zeros_like(both[1]))) / 2
    assert torch.allclose(discriminator_loss(judge, source, target), expected)


def test_batches_move_masks_with_their_images():
    images = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).repeat(3, 1, 1, 1)
    cases = SegmentationCases("ramp", images, images[:, 0] % 5, tuple("abcde"))
    batches = labelled_batches(cases, 3, (6, 7), seed=0)
    for _ in range(4):
        x, masks = next(batches)
        assert x.shape == (3, 1, 6, 7)
        assert torch.equal(((x[:, 0] + 1) * 127.5).round().long() % 5, masks)


def test_images_are_mirrored_along_their_last_axis_alone():
    ramp = torch.arange(12, dtype=torch.uint8).view(1, 1, 3, 4)
    batches = unlabelled_batches(UnlabelledImages("ramp", ramp), 8, None, seed=0)
    seen = {tuple(image.flatten().tolist()) for image in ((next(batches) + 1) * 127.5).round().int()}
    assert seen == {tuple(ramp.flatten().tolist()), tuple(ramp.flip(-1).flatten().tolist())}


def test_an_epoch_sees_every_image_once():
    images = torch.arange(6, dtype=torch.uint8).view(6, 1, 1, 1).repeat(1, 1, 2, 2)
    batches = unlabelled_batches(UnlabelledImages("numbers", images), 2, None, seed=0)
    seen = torch.cat([next(batches)[:, 0, 0, 0] for _ in range(3)])
    assert sorted(((seen + 1) * 127.5).round().int().tolist()) == list(range(6))


def test_bad_input_is_refused_in_a_line():
    with pytest.raises(MedtlError, match="source and target are both 't1_like', expected two domains"):
        adapt_output_space(unet(), discriminator(), SOURCE, SOURCE.without_masks(), QUICK, seed=0)
    with pytest.raises(MedtlError, match="expected the same number of channels and axes"):
        adapt_output_space(unet(), discriminator(), SOURCE, T2.without_masks(), QUICK, seed=0)
    with pytest.raises(MedtlError, match=r"crop \(32, 32\) of images \(16, 16\)"):
        segment(unet(), SOURCE, SegmentationConfig(steps=1, crop=(32, 32)), seed=0)
    with pytest.raises(MedtlError, match="steps is 0"):
        SegmentationConfig(steps=0)
    with pytest.raises(MedtlError, match="learning_rate is nan"):
        SegmentationConfig(learning_rate=float("nan"))
    with pytest.raises(MedtlError, match="adversarial_weight is -1"):
        OutputAdaptationConfig(adversarial_weight=-1)
    network = unet()
    with torch.no_grad():
        network.head.bias[0] = torch.nan
    with pytest.raises(MedtlError, match="segment: loss is nan at step 1 of 1"):
        segment(network, SOURCE, SegmentationConfig(steps=1), seed=0)
