"""Training under an augmentation: as without one where nothing changes, with soft targets where it mixes."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from medtl_core.augmentation import AugmentationPolicy, transform
from medtl_core.data.tensors import DeviceDataset, Normalisation
from medtl_core.errors import MedtlError
from medtl_core.training.features import FeatureSet
from medtl_core.training.loop import FitConfig, fit
from medtl_core.training.policies import SCRATCH
from medtl_core.training.soft_targets import augmented_batch, soft_cross_entropy

NORMALISATION = Normalisation((0.5,), (0.25,))


def images(n=32, channels=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(0, 100, (n, channels, 16, 16), generator=generator)
    labels = torch.arange(n) % 2
    x[labels == 1, :, 4:-4, 4:-4] += 60
    return DeviceDataset(x.to(torch.uint8), labels)


def network():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 2))


def train(augmentation=None, data=None, **config):
    config = FitConfig(**{"epochs": 3, "batch_size": 8, **config})
    data = data or images()
    return fit(network(), SCRATCH, data, data, NORMALISATION, config, seed=0, augmentation=augmentation)


def unchanged(x, targets, generator):
    return x, targets


@pytest.mark.parametrize("channels", [1, 3])
def test_an_augmentation_that_changes_nothing_trains_as_none(channels):
    plain, augmented = (train(a, images(channels=channels)) for a in (None, unchanged))
    for a, b in zip(plain.history, augmented.history, strict=True):
        assert a == pytest.approx(b, rel=1e-5)


def test_the_loss_is_the_cross_entropy_with_soft_targets_written_out():
    logits = np.random.default_rng(0).standard_normal((4, 3))
    targets = np.random.default_rng(1).dirichlet([1, 1], 4)
    log_softmax = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    expected = -(targets * log_softmax[:, :2]).sum(1).mean()
    found = soft_cross_entropy(torch.from_numpy(logits), torch.from_numpy(targets))
    assert float(found) == pytest.approx(expected)


def test_accuracy_counts_the_likeliest_class_of_the_target():
    def exchanged(x, targets, generator):
        return x, 0.4 * targets + 0.6 * targets.flip(1)

    plain = train(unchanged, learning_rate=1e-9, epochs=1).history[0]["train_accuracy"]
    assert 0 < plain < 1
    assert train(exchanged, learning_rate=1e-9, epochs=1).history[0]["train_accuracy"] == pytest.approx(
        1 - plain
    )


def test_it_sees_images_in_0_to_1_and_one_hot_targets_and_is_normalised_afterwards():
    data, seen = images(channels=1), []

    def keep(x, targets, generator):
        seen.append((x, targets))
        return x + 1, targets

    index = torch.tensor([3, 4, 9])
    x, targets = augmented_batch(data, index, NORMALISATION, 4, keep, torch.Generator())
    torch.testing.assert_close(seen[0][0], data.images[index].float() / 255)
    assert torch.equal(seen[0][1], functional.one_hot(data.labels[index], 4).float())
    expected = ((data.images[index].float() / 255 + 1 - 0.5) / 0.25).repeat(1, 3, 1, 1)
    torch.testing.assert_close(x, expected)
    assert x.is_contiguous(memory_format=torch.channels_last)
    assert targets is seen[0][1]


def test_a_policy_is_drawn_from_the_seed():
    names = ("flip", "rotation", "elastic", "mixup", "cutmix", "gaussian_noise")
    policy = AugmentationPolicy(tuple(transform(name) for name in names))
    found, again, weaker = train(policy.batch), train(policy.batch), train(policy.scaled(0.2).batch)
    assert found.history == again.history
    assert found.history != weaker.history


def test_what_does_not_fit_is_refused():
    data = images()
    features = FeatureSet(torch.rand(32, 5), data.labels)
    with pytest.raises(MedtlError, match=r"an augmentation and config\.augment, expected one of them"):
        train(unchanged, augment=True)
    with pytest.raises(MedtlError, match="the inputs are features; it needs images"):
        train(unchanged, data=features)
    with pytest.raises(MedtlError, match=r"made images \(7, 3, 16, 16\) and targets \(8, 2\)"):
        train(lambda x, targets, generator: (x[1:], targets))
