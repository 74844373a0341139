"""Surrogate trees, prototypes and counterfactuals."""

import numpy as np
import pytest
import torch
from tiny_networks import Linear

from medtl_core.errors import MedtlError
from medtl_core.explanation.counterfactuals import counterfactual
from medtl_core.explanation.nearest_cases import prototypes
from medtl_core.explanation.surrogates import surrogate_tree

RNG = np.random.default_rng(0)


def test_a_surrogate_tree_finds_a_rule_and_no_rule_in_noise():
    features = RNG.random((400, 3))
    predicted = (features[:, 1] > 0.4).astype(int)
    found = surrogate_tree(features, ["area", "brightness", "contrast"], predicted, max_depth=4)
    assert found.fidelity > 0.97
    assert found.depth == 1
    assert found.leaves == 2
    assert "brightness" in found.rules
    assert "area" not in found.rules
    assert found.majority == pytest.approx(0.6, abs=0.1)
    noise = surrogate_tree(features, ["a", "b", "c"], RNG.integers(0, 2, 400), max_depth=2, seed=1)
    assert noise.fidelity < 0.65
    assert noise.depth <= 2
    learnt = surrogate_tree(features, ["a", "b", "c"], RNG.integers(0, 2, 400), max_depth=30)
    assert learnt.fidelity < 0.65  # on cases that it was fitted to, it would be 1


def test_prototypes_are_the_nearest_by_hand():
    training = RNG.random((30, 4))
    features = RNG.random((5, 4))
    distances = np.sqrt(((features[:, None] - training[None]) ** 2).sum(-1))
    found = prototypes(features, training, k=3)
    assert np.array_equal(found.index, distances.argsort(1)[:, :3])
    assert found.distance == pytest.approx(np.sort(distances, 1)[:, :3])


def test_a_counterfactual_reports_what_the_translation_does():
    network = Linear(torch.tensor([[[2.0, -1.0]]])).train()
    x = torch.tensor([[[[1.0, 1.0]]]])
    found = counterfactual(network, x, lambda images: images * torch.tensor([0.0, 1.0]))
    before, after = 1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1))
    assert found.change_of_probability.tolist()[0] == pytest.approx([before - after, after - before])
    assert found.mean_change.tolist() == [0.5]
    assert network.training
    with pytest.raises(MedtlError, match="translate gives"):
        counterfactual(network, x, lambda images: images[..., :1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: surrogate_tree(np.ones((9, 2)), ["a"], np.arange(9) % 2), r"features \(9, 2\), 1 names"),
        (lambda: surrogate_tree(np.ones((9, 1)), ["a"], np.zeros(9)), "9 cases of 1 predicted classes"),
        (lambda: surrogate_tree(np.ones((9, 1)), ["a"], np.arange(9) % 2, max_depth=0), "max_depth 0"),
        (lambda: surrogate_tree(np.ones((9, 1)), ["a"], np.arange(9) % 2, held_out=1.0), "held_out 1.0"),
        (lambda: prototypes(np.ones((2, 3)), np.ones((4, 2))), r"features \(2, 3\), training \(4, 2\)"),
        (lambda: prototypes(np.ones((2, 3)), np.ones((4, 3)), k=5), "k is 5, expected 1 to 4"),
    ],
)
def test_what_is_refused_in_one_line(call, message):
    with pytest.raises(MedtlError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
