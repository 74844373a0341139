"""Mixing: targets follow from the pixels, counted on images of one grey value each."""

import numpy as np
import pytest
import torch

from medtl_core.augmentation.catalogue import transform_names
from medtl_core.augmentation.generated import Generator
from medtl_core.augmentation.policy import AugmentationPolicy
from medtl_core.augmentation.transforms import Transform, transform
from medtl_core.errors import MedtlError

N = 16
# Image i has the grey value i / 15 and the class i: the pixels tell where they come from.
LEVELS = torch.arange(N, dtype=torch.float64) / (N - 1)
IMAGES = LEVELS.view(-1, 1, 1, 1).expand(-1, 2, 20, 30).contiguous()
TARGETS = torch.eye(N, dtype=torch.float64)
MASKS = torch.arange(N).view(-1, 1, 1, 1).expand(-1, 1, 20, 30).contiguous()


def apply(name, strength=1.0, probability=1.0, seed=0, masks=None):
    policy = AugmentationPolicy((transform(name, strength, probability),))
    return policy(IMAGES, TARGETS, masks, generator=torch.Generator().manual_seed(seed))


def test_mixup_targets_are_the_weights_of_the_pixels():
    found = apply("mixup", seed=3)
    torch.testing.assert_close(found.targets.sum(1), torch.ones(N).double())
    torch.testing.assert_close(found.images[:, 0, 0, 0], found.targets @ LEVELS)
    assert found.targets.diagonal().min() >= 0.5
    assert ((found.targets > 0).sum(1) == 2).sum() > N / 2


def test_mixup_weights_are_those_of_beta():
    images, targets = torch.zeros(20000, 1, 1, 1), torch.eye(2).repeat(10000, 1)
    policy = AugmentationPolicy((transform("mixup", 0.5),))
    found = policy(images, targets, generator=torch.Generator().manual_seed(0))
    mixed = found.targets.min(1).values  # 1 - max(w, 1 - w) where the partner is of the other class
    drawn = np.random.default_rng(0).beta(0.2, 0.2, 200000)
    expected = 0.5 * np.minimum(drawn, 1 - drawn).mean()
    assert mixed.mean() == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("seed", range(3))
def test_cutmix_targets_are_shares_of_pixels_and_masks_move_along(seed):
    found = apply("cutmix", seed=seed, masks=MASKS)
    source = (found.images[:, 0] * (N - 1)).round().long()
    assert torch.equal(source, found.masks[:, 0])
    for i in range(N):
        share = torch.bincount(source[i].flatten(), minlength=N) / (20 * 30)
        torch.testing.assert_close(found.targets[i], share.double())
    pasted = (source != torch.arange(N)[:, None, None]).flatten(1).double().mean(1)
    assert pasted.max() > 0.1
    assert pasted.max() <= 0.55


def test_cutmix_pastes_a_rectangle():
    found = apply("cutmix", masks=MASKS)
    pasted = found.masks[:, 0] != torch.arange(N)[:, None, None]
    rows, columns = pasted.any(2), pasted.any(1)
    assert torch.equal(pasted, rows[:, :, None] & columns[:, None, :])


def test_cutout_hides_a_square_under_the_mean_of_the_channel():
    images = torch.rand(64, 2, 20, 30, dtype=torch.float64)
    masks = torch.ones(64, 1, 20, 30)
    targets = torch.ones(64, 1)
    policy = AugmentationPolicy((transform("cutout", 0.8),))
    found = policy(images, targets, masks, generator=torch.Generator().manual_seed(0))
    assert found.masks is masks
    assert found.targets is targets
    hidden = (found.images != images).any(1)
    assert hidden.flatten(1).sum(1).max() == 8 * 8  # .8 * .5 * 20 pixels a side
    for i in range(64):
        mean = images[i].mean((1, 2))
        torch.testing.assert_close(found.images[i][:, hidden[i]], mean[:, None].expand(-1, hidden[i].sum()))


def test_patch_swap_exchanges_two_squares_with_their_masks():
    images = torch.rand(64, 2, 20, 30, dtype=torch.float64)
    masks = torch.arange(600).view(1, 1, 20, 30).repeat(64, 1, 1, 1)
    policy = AugmentationPolicy((transform("patch_swap", 1.0),))
    found = policy(images, torch.ones(64, 1), masks, generator=torch.Generator().manual_seed(0))
    for i in range(64):
        source = found.masks[i].flatten()
        assert torch.equal(found.images[i].flatten(1), images[i].flatten(1)[:, source])
        moved = source != torch.arange(600)
        assert moved.sum() == 2 * 5 * 5
        assert torch.equal(source[source], torch.arange(600))  # a swap undoes itself
    assert len({tuple(found.masks[i].flatten().tolist()) for i in range(64)}) > 60


@pytest.mark.parametrize("name", ["mixup", "cutmix", "cutout", "patch_swap"])
def test_only_the_share_of_probability_takes_part(name):
    images, targets = torch.rand(400, 1, 16, 16), torch.eye(400)
    policy = AugmentationPolicy((transform(name, 1.0, 0.3),))
    found = policy(images, targets, generator=torch.Generator().manual_seed(0))
    changed = (found.images != images).flatten(1).any(1)
    assert 0.15 < changed.float().mean() < 0.36
    assert torch.equal(found.targets[~changed].argmax(1), torch.arange(400)[~changed])


def sample_levels(labels, generator):
    """Images of the grey value 1 / (1 + label), with noise from the generator."""
    noise = torch.rand(len(labels), 1, 4, 4, generator=generator) * 0.01
    return (1 / (1 + labels.float())).view(-1, 1, 1, 1) + noise


def sample_soft(targets, generator):
    return targets[:, :1, None, None].expand(-1, -1, 4, 4)


def test_generated_images_take_the_place_of_images_of_their_class():
    images, labels = torch.zeros(300, 1, 4, 4), torch.arange(300) % 3
    targets = 0.8 * torch.eye(3)[labels] + 0.2 / 3
    policy = AugmentationPolicy((Transform("generated", 0.6, source=Generator("levels", sample_levels)),))
    found = policy(images, targets, generator=torch.Generator().manual_seed(0))
    made = found.images.flatten(1).max(1).values > 0
    assert made.float().mean() == pytest.approx(0.3, abs=0.08)
    grey = found.images[made].flatten(1).mean(1)
    torch.testing.assert_close(grey, 1 / (1 + labels[made].float()), atol=0.02, rtol=0)
    assert torch.equal(found.targets[made], torch.eye(3)[labels[made]])
    assert torch.equal(found.targets[~made], targets[~made])


def test_soft_labels_are_handed_over_and_stay():
    targets = torch.tensor([[0.7, 0.3]]).repeat(100, 1)
    policy = AugmentationPolicy((Transform("generated", 1.0, source=Generator("soft", sample_soft, True)),))
    found = policy(torch.zeros(100, 1, 4, 4), targets, generator=torch.Generator().manual_seed(0))
    assert torch.equal(found.targets, targets)
    assert set(found.images.unique().tolist()) == {0.0, targets[0, 0].item()}


def test_a_generator_of_other_shapes_is_refused_as_is_one_without_a_name():
    policy = AugmentationPolicy((Transform("generated", 1.0, source=Generator("levels", sample_levels)),))
    with pytest.raises(MedtlError, match=r"generator levels: images of shape .*, expected .*8, 8"):
        policy(torch.zeros(30, 1, 8, 8), torch.eye(30), generator=torch.Generator().manual_seed(0))
    with pytest.raises(MedtlError, match="expected letters, digits"):
        Generator("a name", sample_levels)


@pytest.mark.parametrize("name", transform_names("other"))
def test_volumes_are_mixed_or_refused(name):
    volumes, targets = torch.rand(4, 1, 4, 8, 8), torch.eye(4)
    policy = AugmentationPolicy((transform(name, 1.0),))
    if name == "mixup":
        found = policy(volumes, targets, generator=torch.Generator().manual_seed(0))
        assert found.images.shape == volumes.shape
        return
    with pytest.raises(MedtlError, match=f"{name}: found volumes"):
        policy(volumes, targets, generator=torch.Generator().manual_seed(0))
