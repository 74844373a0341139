"""Calibration error against torchmetrics and counts on paper."""

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import multiclass_calibration_error

from medtl_core.errors import MedtlError
from medtl_core.evaluation.calibration import expected_calibration_error, reliability_table


@pytest.mark.parametrize(("n_classes", "bins"), [(2, 15), (5, 15), (3, 7)])
def test_equals_torchmetrics(n_classes, bins):
    rng = np.random.default_rng(n_classes)
    scores, y = rng.dirichlet(np.ones(n_classes), 311), rng.integers(n_classes, size=311)
    expected = multiclass_calibration_error(
        torch.from_numpy(scores), torch.from_numpy(y), num_classes=n_classes, n_bins=bins, norm="l1"
    )
    assert expected_calibration_error(y, scores, bins) == pytest.approx(float(expected), abs=1e-6)


def test_ten_cases_on_paper():
    y = np.array([1, 1, 1, 1, 0, 1, 0, 0, 0, 0])
    positive = np.array([0.9] * 5 + [0.35] * 5)
    table = reliability_table(y, positive, bins=10)
    assert table["count"].tolist() == [0, 0, 0, 0, 0, 0, 5, 0, 5, 0]
    assert table["accuracy"].dropna().tolist() == [0.8, 0.8]
    assert table["confidence"].dropna().tolist() == pytest.approx([0.65, 0.9])
    assert expected_calibration_error(y, positive, bins=10) == pytest.approx(0.5 * 0.15 + 0.5 * 0.1)


def test_calibrated_scores_lie_near_zero_and_overconfident_ones_do_not():
    rng = np.random.default_rng(0)
    positive = rng.random(20_000)
    y = (rng.random(20_000) < positive).astype(int)
    assert expected_calibration_error(y, positive) < 0.01
    assert expected_calibration_error(y, positive**3 / (positive**3 + (1 - positive) ** 3)) > 0.1


def test_certain_scores_fall_into_the_last_bin():
    table = reliability_table([0, 1, 1], [0.0, 1.0, 1.0])
    assert table["count"].tolist() == [0] * 14 + [3]
    assert expected_calibration_error([0, 1, 1], [0.0, 1.0, 1.0]) == 0.0


def test_bad_bins_and_scores():
    with pytest.raises(MedtlError, match="bins: 0 found"):
        reliability_table([0, 1], [0.2, 0.9], bins=0)
    with pytest.raises(MedtlError, match=r"sum of 0\.5"):
        expected_calibration_error([0, 1], np.full((2, 2), 0.25))
