"""The synthetic second modality: its curve, its texture, and what stays."""

import numpy as np
import pytest
import scipy.ndimage

from medtl_core.errors import MedtlError
from medtl_core.segmentation.second_modality import (
    BLUR,
    TEXTURE,
    intensity_curve,
    synthetic_modality,
)


def flat(value):
    return np.full((1, 16, 16, 16), value, np.uint8)


def test_the_curve_has_its_closed_form():
    x = np.array([0, 0.25, 0.5, 0.75, 1])
    expected = [1, 0.75**1.5 + 0.25, 0.5**1.5, max(0, 0.25**1.5 - 0.25), 0]
    assert intensity_curve(x) == pytest.approx(expected)


@pytest.mark.parametrize("value", [64, 128])
def test_a_flat_volume_becomes_its_grey_with_the_stated_texture(value):
    made = synthetic_modality(flat(value), seed=0) / 255
    assert made.mean() == pytest.approx(float(intensity_curve(np.array(value / 255))), abs=0.02)
    assert made.std() == pytest.approx(TEXTURE, rel=0.1)


def test_edges_stay_where_they_are_and_the_outside_stays_0():
    volume = flat(60)
    volume[0, 4:12, 4:12, 4:12] = 180
    volume[0, 0] = 0
    mean = np.mean([synthetic_modality(volume, seed=seed)[0] for seed in range(30)], axis=0) / 255
    expected = scipy.ndimage.gaussian_filter(intensity_curve(volume[0] / 255), BLUR, mode="nearest")
    assert (mean[0] == 0).all()
    assert np.abs(mean - expected)[1:].mean() < 0.02
    assert mean[6:10, 6:10, 6:10].mean() < mean[2:3].mean() - 0.3


def test_the_seed_decides_and_other_arrays_are_refused():
    volume = flat(90)
    assert np.array_equal(synthetic_modality(volume, seed=0), synthetic_modality(volume, seed=0))
    assert not np.array_equal(synthetic_modality(volume, seed=0), synthetic_modality(volume, seed=1))
    with pytest.raises(MedtlError, match=r"expected uint8 \(N, D, H, W\)"):
        synthetic_modality(volume[0], seed=0)
