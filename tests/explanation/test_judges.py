"""Judges: curves of known pixels, counts on paper, and what randomised weights do to a map."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from tiny_networks import Linear
from torch import nn

from medtl_core.backbones.zoo import build
from medtl_core.errors import MedtlError
from medtl_core.explanation.explaining import Explanation, explain
from medtl_core.explanation.judges.agreement import agreement_table
from medtl_core.explanation.judges.likeness import spearman, ssim
from medtl_core.explanation.judges.road import impute
from medtl_core.explanation.judges.table import JUDGES, judge, judge_names

WEIGHTS = torch.tensor([[[3.0, 0.0], [0.0, 1.0]]])
ONES = torch.ones(1, 1, 2, 2)
NETWORK = Linear(WEIGHTS)


def given(maps, method="gradient"):
    return Explanation(torch.as_tensor(maps, dtype=torch.float32), True, method, "", (2, 2), 0.0, {})


def sigmoid(z):
    return 1 / (1 + math.exp(-z))


def test_deletion_of_known_pixels_is_the_curve_on_paper():
    """Pixels of weight 3, 1, 0, 0 go in this order: logits 4, 1, 0, 0, 0 against 0."""
    found = judge("deletion", NETWORK, ONES, 1, given([[[4, 2], [1, 3]]]), steps=4, baseline="zeros")
    expected = [sigmoid(4), sigmoid(1), 0.5, 0.5, 0.5]
    assert found.details["curve"][0].tolist() == pytest.approx(expected)
    assert found.values.tolist() == pytest.approx([(expected[0] / 2 + sum(expected[1:4]) + 0.25) / 4])
    worst = judge("deletion", NETWORK, ONES, 1, given([[[1, 3], [4, 2]]]), steps=4, baseline="zeros")
    assert worst.details["curve"][0].tolist() == pytest.approx(
        [sigmoid(4), sigmoid(4), sigmoid(4), sigmoid(3), 0.5]
    )
    assert worst.mean > found.mean


def test_insertion_adds_the_same_pixels():
    found = judge("insertion", NETWORK, ONES, 1, given([[[4, 2], [1, 3]]]), steps=2, baseline="zeros")
    assert found.details["curve"][0].tolist() == pytest.approx([0.5, sigmoid(4), sigmoid(4)])
    assert found.direction == "higher"


def test_pointing_game_counts_on_paper():
    maps = torch.zeros(4, 10, 10)
    maps[0, 5, 5] = maps[1, 0, 0] = maps[2, 5, 8] = 1.0
    masks = torch.zeros(4, 10, 10)
    masks[:, 4:7, 4:7] = 1
    x = torch.zeros(4, 1, 10, 10)
    network = Linear(torch.ones(1, 10, 10))
    hits = [
        judge("pointing_game", network, x, 1, given(maps), masks=masks, tolerance=t).values
        for t in (0.0, 0.2)
    ]
    # A flat map hits as often as a pixel drawn at random; within 2 px of the 3 x 3 mask lie 37 of 100.
    assert hits[0].tolist() == pytest.approx([1, 0, 0, 0.09])
    assert hits[1].tolist() == pytest.approx([1, 0, 1, 0.37])


def test_mass_in_mask_is_the_share_of_positive_values():
    maps = [[[1, 3], [-7, 4]], [[-1, -1], [-1, -1]]]
    masks = torch.tensor([[[0, 255], [255, 0]]] * 2)
    found = judge("mass_in_mask", NETWORK, ONES.repeat(2, 1, 1, 1), 1, given(maps), masks=masks)
    assert found.values.tolist() == [3 / 8, 0]
    assert found.details["mask_area"].tolist() == [0.5, 0.5]


def test_infidelity_of_a_linear_network_is_0_for_its_gradient_and_not_for_others():
    generator = torch.Generator().manual_seed(0)
    weights, x = torch.randn(2, 4, 4, generator=generator), torch.randn(3, 2, 4, 4, generator=generator)
    network = Linear(weights)
    good = explain(network, x, 1, "gradient")
    assert judge("infidelity", network, x, 1, good).values.max() < 1e-5
    # Another unit, the same map: the best factor undoes it.
    scaled = given(7 * good.maps)
    assert judge("infidelity", network, x, 1, scaled).values.max() < 1e-5
    assert judge("infidelity", network, x, 1, explain(network, x, 1, "random")).values.min() > 1e-2


def test_sensitivity_is_0_where_the_gradient_is_constant_and_known_where_it_is_not():
    x = torch.ones(2, 1, 4, 4)
    network = Linear(torch.ones(1, 4, 4))
    assert judge("sensitivity_max", network, x, 1, explain(network, x, 1, "gradient")).values.tolist() == [
        0,
        0,
    ]

    class Square(nn.Module):
        def forward(self, x):
            return x.square().flatten(1).sum(1, keepdim=True)

    # The gradient is 2 x: it moves by 2 * noise, relative to the norm 2 * 4.
    shifts = (torch.rand(6, 1, 4, 4, generator=torch.Generator().manual_seed(3)) * 2 - 1) * 0.1
    expected = float((shifts.flatten(1).norm(dim=1) / 4).max())
    found = judge(
        "sensitivity_max", Square(), x, 0, explain(Square(), x, 0, "gradient"), samples=6, radius=0.1, seed=3
    )
    assert found.values.tolist() == pytest.approx([expected] * 2, rel=1e-5)


def test_imputed_pixels_solve_the_linear_system():
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.random((2, 3, 6, 7)))
    removed = torch.from_numpy(rng.random((2, 6, 7)) < 0.6)
    kept = x.clone()
    filled = impute(x, removed, seed=0, noise=0.0).numpy()
    assert torch.equal(x, kept)
    for n, y, z in np.argwhere(removed.numpy()):
        total, weights = np.zeros(3), 0.0
        for dy in (-1, 0, 1):
            for dz in (-1, 0, 1):
                if (dy or dz) and 0 <= y + dy < 6 and 0 <= z + dz < 7:
                    weight = 1 / 6 if 0 in (dy, dz) else 1 / 12
                    total += weight * filled[n, :, y + dy, z + dz]
                    weights += weight
        assert filled[n, :, y, z] == pytest.approx(total / weights)
    inside = ~removed.numpy()
    assert all(np.array_equal(filled[n][:, inside[n]], x.numpy()[n][:, inside[n]]) for n in range(2))
    noisy = impute(x, removed, seed=0, noise=0.01).numpy() - filled
    assert 0.005 < noisy[:, 0][removed.numpy()].std() < 0.015
    assert noisy[:, 0][inside].max() == 0
    with pytest.raises(MedtlError, match="all pixels of image 0 are removed"):
        impute(x, torch.ones_like(removed), seed=0)


def test_road_prefers_the_map_that_finds_the_pixel():
    weights = torch.zeros(1, 8, 8)
    weights[0, 3, 3] = 4.0
    x = torch.zeros(1, 1, 8, 8)
    x[0, 0, 3, 3] = 1.0
    found = judge("road", Linear(weights), x, 1, given(weights), noise=1e-9, shares=(0.25,))
    # Without its pixel the image is black: probability 1/2; with it sigmoid(4).
    assert found.values.tolist() == pytest.approx([sigmoid(4) - 0.5], abs=1e-6)
    wrong = judge("road", Linear(weights), x, 1, given(-weights), noise=1e-9, shares=(0.25,))
    assert wrong.mean == pytest.approx(-found.mean, abs=1e-6)


def test_spearman_is_scipys_and_similarity_is_1_up_to_scale():
    rng = np.random.default_rng(0)
    a, b = (torch.from_numpy(rng.integers(0, 9, (3, 9, 9)).astype(float)) for _ in range(2))
    expected = [stats.spearmanr(p.ravel(), q.ravel()).statistic for p, q in zip(a, b, strict=True)]
    assert spearman(a, b).tolist() == pytest.approx(expected)
    assert ssim(a, 3 * a + 2).tolist() == pytest.approx([1, 1, 1])
    assert ssim(a, b).max() < 0.6
    assert torch.isnan(spearman(a, torch.ones_like(a))).all()
    assert torch.isnan(ssim(a, torch.ones_like(a))).all()


@pytest.mark.slow
def test_random_weights_change_a_faithful_map_and_not_that_of_an_edge_detector():
    network = build("resnet18", num_classes=2, pretrained=False, seed=0).network
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    for name in ("cascading_randomisation", "independent_randomisation"):
        faithful = judge(name, network, x, 1, explain(network, x, 1, "gradient"))
        edges = judge(name, network, x, 1, explain(network, x, 1, "sobel"))
        assert faithful.mean < 0.9
        assert edges.values.tolist() == pytest.approx([1, 1])
        assert faithful.details["stages"] == ["head", *(f"stage {i}" for i in (4, 3, 2, 1, 0))]
        assert faithful.details["spearman"].shape == faithful.details["ssim"].shape == (6, 2)
        assert faithful.direction == "lower"
        again = judge(name, network, x, 1, explain(network, x, 1, "gradient"))
        assert torch.equal(again.details["spearman"], faithful.details["spearman"])
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    cascade = judge(
        "cascading_randomisation", network, x, 1, explain(network, x, 1, "gradient"), maps="signed"
    )
    assert cascade.mean < 0.5
    assert torch.equal(cascade.values, cascade.details["spearman"][-1])


def test_agreement_is_the_mean_rank_correlation_with_the_others():
    maps = torch.rand(2, 6, 6, generator=torch.Generator().manual_seed(0))
    x = torch.zeros(2, 1, 6, 6)
    network = Linear(torch.ones(1, 6, 6))
    found = judge("agreement", network, x, 1, given(maps), others=[given(maps**3), given(-maps)])
    assert found.values.tolist() == pytest.approx([0, 0], abs=1e-12)
    table = agreement_table([given(maps, "a"), given(-maps, "b")])
    assert table.to_numpy() == pytest.approx(np.array([[1, -1], [-1, 1]]))
    assert list(table.columns) == ["a", "b"]


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in judge_names() if n != "agreement"])
def test_judges_leave_the_network_and_say_the_same_for_one_image_as_for_many(name):
    network = build("resnet18", num_classes=2, pretrained=False, seed=0).network.train()
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    masks = torch.zeros(2, 32, 32)
    masks[:, 8:20, 8:20] = 1
    found = judge(name, network, x, 1, explain(network, x, 1, "gradient"), masks=masks)
    one = judge(name, network, x[:1], 1, explain(network, x[:1], 1, "gradient"), masks=masks[:1])
    assert found.judge == name
    assert found.direction == JUDGES[name].direction
    assert found.values.shape == (2,)
    assert found.values.dtype == torch.float64
    assert found.values[:1].tolist() == pytest.approx(one.values.tolist(), rel=1e-2, abs=1e-4)
    assert all(module.training for module in network.modules())
    assert all(p.requires_grad and p.grad is None for p in network.parameters())


@pytest.mark.parametrize(
    ("name", "maps", "options", "message"),
    [
        ("delete", [[[1, 2], [3, 4]]], {}, "'delete', expected one of deletion, "),
        ("deletion", [[[1, 2]]], {}, r"maps \(1, 1, 2\), expected \(1, 2, 2\)"),
        ("deletion", [[[1, 2], [3, 4]]], {"steps": 5}, "5 steps, expected 1 to 4"),
        ("deletion", [[[1, 2], [3, 4]]], {"baseline": "noise"}, "'noise', expected one of zeros"),
        ("deletion", [[[1, 2], [3, 4]]], {"step": 2}, "no option 'step', expected one of: steps, baseline"),
        ("mass_in_mask", [[[1, 2], [3, 4]]], {}, "mass_in_mask: no masks"),
        ("pointing_game", [[[1, 2], [3, 4]]], {"masks": torch.zeros(1, 2, 2)}, "mask of image 0 is empty"),
        ("pointing_game", [[[1, 2], [3, 4]]], {"masks": torch.ones(1, 2, 3)}, r"masks \(1, 2, 3\), expected"),
        (
            "pointing_game",
            [[[1, 2], [3, 4]]],
            {"masks": torch.ones(1, 2, 2), "tolerance": 1},
            "tolerance is 1",
        ),
        ("road", [[[1, 2], [3, 4]]], {"shares": (1.0,)}, "shares are"),
        ("infidelity", [[[1, 2], [3, 4]]], {"samples": 0}, "infidelity: 0 samples"),
        ("sensitivity_max", [[[1, 2], [3, 4]]], {"radius": 0}, "sensitivity_max: 5 samples of size 0"),
        ("agreement", [[[1, 2], [3, 4]]], {"others": []}, "no other explanation"),
        ("agreement", [[[1, 2], [3, 4]]], {"others": [given([[[1, 2]]])]}, r"gradient has maps \(1, 1, 2\)"),
        ("cascading_randomisation", [[[1, 2], [3, 4]]], {"maps": "squared"}, "expected absolute or signed"),
    ],
)
def test_what_judges_refuse_in_one_line(name, maps, options, message):
    with pytest.raises(MedtlError, match=message) as caught:
        judge(name, NETWORK, ONES, 1, given(maps), **options)
    assert "\n" not in str(caught.value)


def test_a_judge_states_what_it_takes():
    assert set(judge_names(masks=False)) == set(judge_names()) - {"pointing_game", "mass_in_mask"}
    assert all(each.maps and each.normalisation and each.direction for each in JUDGES.values())
