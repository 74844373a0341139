"""Attributions that are known on paper: two-pixel networks, additive games, games by enumeration."""

import itertools
import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression
from tiny_networks import Linear, Product, TinyCNN

from medtl_core.errors import MedtlError
from medtl_core.explanation.baselines import baseline_of
from medtl_core.explanation.explaining import explain
from medtl_core.explanation.shapley import _coalitions
from medtl_core.explanation.superpixels import superpixels

WEIGHTS = torch.tensor([[[2.0, -3.0]]])
TWO_PIXELS = torch.tensor([[[[0.5, 4.0]]], [[[1.0, -1.0]]]])
PIXELS = torch.arange(4).view(1, 2, 2)


def maps(*arguments, **options):
    return explain(*arguments, **options).maps


def test_the_gradient_of_a_linear_network_is_its_weights_and_the_input_does_not_matter():
    assert torch.equal(maps(Linear(WEIGHTS), TWO_PIXELS, 1, "gradient"), WEIGHTS.expand(2, 1, 2))
    assert torch.equal(maps(Linear(WEIGHTS), TWO_PIXELS, 0, "gradient"), torch.zeros(2, 1, 2))
    mixed = maps(Linear(WEIGHTS), TWO_PIXELS, torch.tensor([0, 1]), "gradient")
    assert torch.equal(mixed, torch.stack([torch.zeros(1, 2), WEIGHTS[0]]))


def test_channels_are_summed_with_their_signs():
    weights = torch.tensor([[[1.0, 2.0]], [[-4.0, 1.0]]])
    assert torch.equal(
        maps(Linear(weights), torch.ones(1, 2, 1, 2), 1, "gradient"), torch.tensor([[[-3.0, 3.0]]])
    )


def test_integrated_gradients_of_a_linear_network_are_weight_times_input():
    found = maps(Linear(WEIGHTS), TWO_PIXELS, 1, "integrated_gradients", steps=3)
    assert torch.allclose(found, WEIGHTS * TWO_PIXELS[:, 0])


def test_integrated_gradients_share_a_product_equally():
    x = torch.tensor([[[[3.0, 5.0], [2.0, 7.0]]]])
    found = maps(Product(), x, 1, "integrated_gradients")
    assert torch.allclose(found, torch.tensor([[[7.5, 7.5], [2.0, 0.0]]]), atol=1e-5)


@pytest.mark.parametrize("baseline", ["zeros", "mean", "blur"])
def test_integrated_gradients_are_complete(baseline):
    network, x = (
        TinyCNN(torch.nn.Tanh()),
        torch.randn(3, 3, 10, 10, generator=torch.Generator().manual_seed(0)),
    )
    found = maps(network, x, 1, "integrated_gradients", baseline=baseline, steps=200)
    with torch.no_grad():
        expected = (network(x) - network(baseline_of(x, baseline)))[:, 1]
    assert found.sum((1, 2)).numpy() == pytest.approx(expected.numpy(), abs=2e-4)


@pytest.mark.slow
def test_smoothgrad_of_a_square_is_the_gradient_at_the_image_plus_the_mean_noise():
    class Square(torch.nn.Module):
        def forward(self, x):
            return x.square().flatten(1).sum(1, keepdim=True)

    x = torch.tensor([[[[1.0, 3.0]]]])
    found = maps(Square(), x, 0, "smoothgrad", samples=4000, noise=0.1, seed=3)
    spread = 2 * 0.1 * 2 / math.sqrt(4000)
    assert (found - 2 * x[0]).abs().max() < 4 * spread
    assert not torch.equal(found, 2 * x[0])


def test_occlusion_is_the_loss_under_the_patch():
    found = maps(Linear(WEIGHTS), TWO_PIXELS, 1, "occlusion", patch=1, baseline="zeros")
    assert torch.allclose(found, WEIGHTS * TWO_PIXELS[:, 0])
    by_mean = maps(Linear(WEIGHTS), TWO_PIXELS[:1], 1, "occlusion", patch=1, baseline="mean")
    assert by_mean.numpy() == pytest.approx(np.array([[[2 * (0.5 - 2.25), -3 * (4 - 2.25)]]]))


def test_occlusion_averages_the_patches_that_cover_a_pixel():
    x = torch.tensor([[[[1.0, 2.0, 4.0], [0.0, 0.0, 0.0]]]])
    network = Linear(torch.ones(1, 2, 3))
    # Patches of 2 x 2 at columns 0 and 1 lose 3 and 6.
    result = explain(network, x, 1, "occlusion", patch=2, stride=1, baseline="zeros")
    assert torch.allclose(result.maps, torch.tensor([[[3.0, 4.5, 6.0], [3.0, 4.5, 6.0]]]))
    assert result.grid == (1, 2)


def test_kernel_shap_of_an_additive_game_is_each_players_own_gain():
    weights = torch.tensor([[[1.0, -2.0], [0.5, 3.0]]])
    x = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    options = {"segments": PIXELS, "baseline": "zeros"}
    assert torch.allclose(maps(Linear(weights), x, 1, "kernel_shap", **options), weights * x[0], atol=1e-5)


def test_drawn_coalitions_find_an_additive_game_and_too_few_are_refused():
    weights = torch.linspace(-2, 3, 12).view(1, 3, 4)
    x = torch.linspace(1, 2, 12).view(1, 1, 3, 4)
    options = {"segments": torch.arange(12).view(1, 3, 4), "baseline": "zeros", "seed": 1}
    found = maps(Linear(weights), x, 1, "kernel_shap", samples=60, **options)
    assert torch.allclose(found, weights * x[0], atol=1e-4)
    with pytest.raises(MedtlError, match="expected at least 24"):
        maps(Linear(weights), x, 1, "kernel_shap", samples=20, **options)


def exact_shapley(value, players):
    """By all orders in which the players may come."""
    gains = np.zeros(players)
    orders = list(itertools.permutations(range(players)))
    for order in orders:
        present: list[int] = []
        for player in order:
            before = value(present)
            present.append(player)
            gains[player] += value(present) - before
    return gains / len(orders)


def test_kernel_shap_of_a_game_that_is_not_additive_equals_the_enumeration():
    x = torch.tensor([[[[3.0, 5.0], [2.0, 7.0]]]])
    network = TinyCNN(torch.nn.Tanh(), seed=2)
    rgb = x.expand(1, 3, 2, 2)

    def value(present):
        left = torch.zeros(4)
        left[present] = 1
        with torch.no_grad():
            return float(network(rgb * left.view(1, 1, 2, 2))[0, 1])

    expected = exact_shapley(value, 4)
    found = maps(network, rgb, 1, "kernel_shap", segments=PIXELS, baseline="zeros")
    assert found.flatten().numpy() == pytest.approx(expected, abs=1e-5)
    assert maps(Product(), x, 1, "kernel_shap", segments=PIXELS, baseline="zeros").flatten().numpy() == (
        pytest.approx([7.5, 7.5, 2.0, 0.0], abs=1e-5)
    )


def test_drawn_coalitions_come_near_the_exact_values_and_keep_their_sum():
    players = 12
    generator = torch.Generator().manual_seed(5)
    x = torch.rand(1, 3, 3, 4, generator=generator)
    network = TinyCNN(torch.nn.Tanh(), seed=4)
    segments = torch.arange(players).view(1, 3, 4)
    options = {"segments": segments, "baseline": "zeros"}
    exact = maps(network, x, 1, "kernel_shap", samples=2**players, **options)
    drawn = maps(network, x, 1, "kernel_shap", samples=1000, seed=1, **options)
    assert (exact - drawn).abs().max() < 0.1 * exact.abs().max()
    assert float(drawn.sum()) == pytest.approx(float(exact.sum()), abs=1e-5)


def test_gradient_shap_of_a_product_is_shared_and_gathered_by_superpixel():
    x = torch.tensor([[[[3.0, 5.0], [2.0, 7.0]]]])
    found = maps(Product(), x, 1, "gradient_shap", segments=PIXELS, baseline="zeros", samples=400)
    assert found.numpy() == pytest.approx(np.array([[[7.5, 7.5], [2.0, 0.0]]]), abs=0.05)
    halves = torch.tensor([[[0, 1], [0, 1]]])
    gathered = maps(Linear(torch.ones(1, 2, 2)), x, 1, "gradient_shap", segments=halves, baseline="zeros")
    assert torch.allclose(gathered, torch.tensor([[[5.0, 12.0], [5.0, 12.0]]]))


def test_lime_ranks_and_signs_an_additive_game_and_its_seed_fixes_it():
    weights = torch.tensor([[[1.0, -2.0], [0.5, 3.0]]])
    x = torch.ones(1, 1, 2, 2)
    options = {"segments": PIXELS, "baseline": "zeros", "samples": 4000}
    found = maps(Linear(weights), x, 1, "lime", seed=0, **options)
    # Ridge shrinks; with many samples it comes near to ordinary least squares, which is exact here.
    assert found.numpy() == pytest.approx(weights.numpy(), rel=0.05)
    assert torch.equal(found, maps(Linear(weights), x, 1, "lime", seed=0, **options))
    assert not torch.equal(found, maps(Linear(weights), x, 1, "lime", seed=1, **options))


def test_lime_weighs_by_closeness_to_the_whole_image():
    """An oracle that is not additive: weighted least squares on the same draws, in NumPy."""
    x = torch.tensor([[[[3.0, 5.0], [2.0, 7.0]]]])
    left = torch.rand(5000, 4, generator=torch.Generator().manual_seed(0)) < 0.5
    left[0] = True
    z = left.double().numpy()
    score = 15 * z[:, 0] * z[:, 1] + 2 * z[:, 2]
    # The cosine between a coalition and the whole is sqrt(size / M).
    cosine = z.sum(1) / np.maximum(np.sqrt(z.sum(1)) * 2, 1e-12)
    weight = np.exp(-((1 - cosine) ** 2) / 0.25**2)
    expected = LinearRegression().fit(z, score, sample_weight=weight).coef_
    found = maps(Product(), x, 1, "lime", segments=PIXELS, baseline="zeros", samples=5000, seed=0)
    assert found.flatten().numpy() == pytest.approx(expected, abs=0.05)


def test_superpixels_are_numbered_without_gaps_and_follow_edges():
    image = torch.zeros(1, 3, 32, 32)
    image[..., 16:] = 1
    labels = superpixels(image, 16)
    assert labels.shape == (1, 32, 32)
    assert labels.unique().tolist() == list(range(int(labels.max()) + 1))
    assert not set(labels[..., :16].unique().tolist()) & set(labels[..., 16:].unique().tolist())
    with pytest.raises(MedtlError, match="one region"):
        superpixels(torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)), 64)


def test_the_first_of_limes_samples_is_the_whole_image():
    class Noticing(Linear):
        whole = 0

        def forward(self, images):
            self.whole += int((images == seen).flatten(1).all(1).sum())
            return super().forward(images)

    seen = torch.arange(1.0, 13.0).view(1, 1, 3, 4)
    network = Noticing(torch.ones(1, 3, 4))
    options = {"segments": torch.arange(12).view(1, 3, 4), "baseline": "zeros", "samples": 2}
    before = 1  # `explain` asks the network once how many classes it has
    maps(network, seen, 1, "lime", **options)
    assert network.whole == before + 1


def test_patches_of_occlusion_overlap_by_half_unless_told():
    x = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    assert explain(Linear(torch.ones(1, 16, 16)), x, 1, "occlusion").grid == (15, 15)


def test_sizes_of_drawn_coalitions_follow_the_shapley_kernel():
    players, samples = 8, 40_000
    left, _ = _coalitions(players, 250, torch.Generator().manual_seed(0))
    assert torch.equal(left[0::2], ~left[1::2])
    many, _ = _coalitions(30, samples, torch.Generator().manual_seed(0))
    shares = torch.bincount(many.sum(1), minlength=30)[1:].double() / samples
    sizes = torch.arange(1, 30).double()
    expected = 1 / (sizes * (30 - sizes))
    assert (shares - expected / expected.sum()).abs().max() < 4 * math.sqrt(0.25 / samples)
