"""Dice and focal losses, and the Dice coefficient, against closed forms and NumPy."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from medtl_core.errors import MedtlError
from medtl_core.segmentation.dice import dice_per_case
from medtl_core.segmentation.losses import (
    cross_entropy_dice_loss,
    dice_focal_loss,
    dice_loss,
    focal_loss,
    squared_dice_loss,
)

DRAW = torch.Generator().manual_seed(0)
LOGITS = torch.randn(2, 3, 5, 6, generator=DRAW)
MASKS = torch.randint(0, 3, (2, 5, 6), generator=DRAW, dtype=torch.uint8)


def in_numpy(power, classes):
    p = np.exp(LOGITS.numpy().astype(float))
    p /= p.sum(1, keepdims=True)
    terms = []
    for k in classes:
        g = MASKS.numpy() == k
        terms.append(2 * (p[:, k] * g).sum() / ((p[:, k] ** power).sum() + g.sum()))
    return 1 - np.mean(terms)


def test_dice_losses_match_numpy():
    assert float(dice_loss(LOGITS, MASKS)) == pytest.approx(in_numpy(1, (1, 2)), abs=1e-5)
    assert float(squared_dice_loss(LOGITS, MASKS)) == pytest.approx(in_numpy(2, (0, 1, 2)), abs=1e-5)


def test_dice_of_even_odds_has_a_closed_form():
    # p = 1/2 everywhere, a quarter of the 64 pixels in the foreground: 2 (16/2) / (32 + 16) = 1/3.
    masks = torch.zeros(1, 8, 8, dtype=torch.int64)
    masks[:, :2] = 1
    even = torch.zeros(1, 2, 8, 8)
    assert float(dice_loss(even, masks)) == pytest.approx(2 / 3, abs=1e-5)
    # Squared: foreground 16 / (16 + 16) = 1/2, background 48 / (16 + 48) = 3/4.
    assert float(squared_dice_loss(even, masks)) == pytest.approx(1 - 5 / 8, abs=1e-5)


def test_a_sure_and_right_answer_costs_nothing_and_a_sure_and_wrong_one_costs_1():
    sure = 50 * functional.one_hot(MASKS.long(), 3).permute(0, 3, 1, 2).float()
    for loss in (dice_loss, squared_dice_loss, focal_loss, dice_focal_loss):
        assert float(loss(sure, MASKS)) == pytest.approx(0, abs=1e-5)
    assert float(dice_loss(sure, (MASKS + 1) % 3)) == pytest.approx(1, abs=1e-5)


def test_focal_loss_has_its_closed_form_and_is_cross_entropy_at_gamma_0():
    even = torch.zeros(1, 4, 3, 3)
    masks = torch.ones(1, 3, 3, dtype=torch.int64)
    assert float(focal_loss(even, masks)) == pytest.approx(0.75**2 * math.log(4))
    expected = functional.cross_entropy(LOGITS, MASKS.long())
    assert float(focal_loss(LOGITS, MASKS, gamma=0)) == pytest.approx(float(expected), abs=1e-6)
    assert float(dice_focal_loss(even, masks)) == pytest.approx(
        float(squared_dice_loss(even, masks)) + 10 * 0.75**2 * math.log(4) / 4, abs=1e-5
    )
    assert float(cross_entropy_dice_loss(LOGITS, MASKS)) == pytest.approx(
        float(expected + dice_loss(LOGITS, MASKS)), abs=1e-5
    )


def test_volumes_have_the_same_losses_as_images():
    volume, masks = LOGITS.unflatten(2, (1, 5)), MASKS.unflatten(1, (1, 5))
    for loss in (dice_loss, squared_dice_loss, focal_loss):
        assert float(loss(volume, masks)) == pytest.approx(float(loss(LOGITS, MASKS)), abs=1e-6)


def test_masks_that_do_not_fit_are_refused_in_a_line():
    with pytest.raises(MedtlError, match=r"masks \(2, 4, 6\) for outputs \(2, 3, 5, 6\)"):
        dice_loss(LOGITS, MASKS[:, :4])
    with pytest.raises(MedtlError, match="a mask value is 3, but the network has 3 outputs"):
        focal_loss(LOGITS, MASKS + 1)
    with pytest.raises(MedtlError, match="expected integers"):
        dice_loss(LOGITS, MASKS.float())


def test_dice_of_a_case_is_computed_once_over_its_whole_mask():
    true = np.zeros((3, 2, 4, 4), np.uint8)
    predicted = np.zeros_like(true)
    true[0, 0, 0] = 1  # 4 voxels, 2 found in one slice
    predicted[0, 0, 0, :2] = 1
    predicted[0, 1, 0, :2] = 1  # 2 false ones in the other: 2 x 2 / (4 + 4)
    predicted[1, 0, 0, 0] = 1  # nothing is there
    dice = dice_per_case(predicted, true, 3)
    assert dice[0, 0] == 0.5
    assert dice[1, 0] == 0
    assert np.isnan(dice[2, 0])
    assert np.isnan(dice[:, 1]).all()
    with pytest.raises(MedtlError, match="expected the same size"):
        dice_per_case(predicted[:, :1], true, 3)
