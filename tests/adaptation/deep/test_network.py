"""Extractor and classifier are the backbone in two parts; unlabelled cases are fed as labelled ones."""

import numpy as np
import pytest
import torch

from medtl_core.adaptation.deep import (
    SINGLE_SOURCE,
    AdaptationConfig,
    Unlabelled,
    combined,
    feature_network,
    image_network,
    most_confident,
    outputs_of,
    prefix_features,
)
from medtl_core.backbones.stages import activations, position_of
from medtl_core.backbones.zoo import build
from medtl_core.data.tensors import DeviceDataset, Normalisation
from medtl_core.errors import MedtlError
from medtl_core.training.features import FeatureSet
from medtl_core.training.prediction import evaluation_mode, predict

RNG = np.random.default_rng(0)
HALF = Normalisation((0.5,), (0.25,))


def images(n, channels=3, size=32):
    pixels = torch.from_numpy(RNG.integers(0, 256, (n, channels, size, size), np.uint8))
    return DeviceDataset(pixels, torch.arange(n) % 2)


@pytest.mark.parametrize("name", ["resnet18", "tf_efficientnet_lite0"])
def test_an_image_network_is_its_backbone_in_two_parts(name):
    backbone = build(name, num_classes=2, pretrained=False, seed=0)
    network = image_network(backbone)
    data = images(4)
    assert np.array_equal(
        predict(network, data, backbone.normalisation),
        predict(backbone.network, data, backbone.normalisation),
    )
    count = sum(weight.numel() for weight in backbone.network.parameters())
    assert sum(weight.numel() for weight in network.parameters()) == count
    inner = {id(weight) for weight in network.extractor.parameters()}
    assert not inner & {id(weight) for weight in network.classifier.parameters()}


@pytest.mark.parametrize("channels", [1, 3])
def test_unlabelled_images_are_fed_as_labelled_ones(channels):
    data = images(5, channels)
    index = torch.tensor([3, 0])
    unlabelled = Unlabelled.of(data)
    assert torch.equal(unlabelled.inputs(index, HALF), data.inputs(index, HALF))
    labelled = unlabelled.with_labels(index, torch.tensor([1, 1]))
    assert torch.equal(labelled.images, data.images[index])
    assert labelled.labels.tolist() == [1, 1]


def test_probabilities_of_unlabelled_cases_are_those_of_predict():
    backbone = build("resnet18", num_classes=2, pretrained=False, seed=0)
    network, data = image_network(backbone), images(5)
    found = Unlabelled.of(data).probabilities(network, HALF, batch_size=2)
    assert np.allclose(found, predict(network, data, HALF), atol=1e-6)


def test_validators_are_given_what_the_network_says_in_the_order_of_the_cases():
    network = feature_network((3,), 2, seed=0)
    held_out = FeatureSet(torch.randn(9, 3), torch.arange(9) % 2)
    target = FeatureSet(torch.randn(7, 3), torch.zeros(7, dtype=torch.int64))
    found = outputs_of(network, held_out, Unlabelled.of(target), None, batch_size=4)
    assert np.allclose(found.source_probabilities, predict(network, held_out, None))
    assert np.allclose(found.target_probabilities, predict(network, target, None))
    assert found.source_labels.tolist() == held_out.labels.tolist()
    with evaluation_mode(network):
        assert np.allclose(found.target_features, network.extractor(target.features), atol=1e-6)


def test_prefix_features_are_the_activation_at_the_cut():
    backbone = build("resnet18", num_classes=2, pretrained=False, seed=0)
    data = images(5)
    found = prefix_features(backbone, data, "layer2.1", batch_size=2)
    with evaluation_mode(backbone.network):
        every = activations(backbone.network, data.inputs(slice(None), backbone.normalisation))
    assert torch.allclose(found.features, every[position_of(backbone.network, "layer2.1")], atol=1e-5)
    assert torch.equal(found.labels, data.labels)
    network = feature_network(tuple(found.features.shape[1:]), 2, seed=0)
    assert predict(network, found, None).shape == (5, 2)


def test_a_method_takes_images():
    backbone = build("resnet18", num_classes=2, pretrained=False, small_input=True, seed=0)
    result = SINGLE_SOURCE["deep CORAL"](
        image_network(backbone),
        images(8, size=16),
        Unlabelled.of(images(8, channels=1, size=16)),
        backbone.normalisation,
        AdaptationConfig(steps=2, batch_size=4),
        seed=0,
    )
    assert len(result.history) == 2
    assert set(result.history[0]) == {"loss", "classification", "coral"}


def test_grey_and_colour_sources_are_combined_in_colour():
    grey, colour = images(2, 1), images(3)
    both = combined([grey, colour])
    assert torch.equal(both.inputs(slice(0, 2), None), grey.inputs(slice(None), None))
    assert len(both) == 5


def test_the_most_confident_of_each_class_on_paper():
    probabilities = torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.8, 0.2], [0.45, 0.55]])
    index, guessed = most_confident(probabilities, 0.5)
    assert index.tolist() == [0, 3, 4]
    assert guessed.tolist() == [0, 0, 1]


def test_the_seed_fixes_the_weights_and_leaves_the_global_state_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first = feature_network((4, 3, 3), 2, seed=1)
    assert torch.equal(torch.rand(1), expected)
    second = feature_network((4, 3, 3), 2, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    with pytest.raises(MedtlError, match=r"expected \(d,\) or \(C, h, w\)"):
        feature_network((4, 3), 2, seed=1)


@pytest.mark.parametrize(
    "wrong", [{"steps": 0}, {"batch_size": 1}, {"learning_rate": 0.0}, {"weight_decay": -1.0}]
)
def test_a_setting_out_of_range_is_named(wrong):
    with pytest.raises(MedtlError, match=next(iter(wrong))):
        AdaptationConfig(**wrong)
