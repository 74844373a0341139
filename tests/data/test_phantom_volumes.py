"""Volumetric phantoms: one anatomy, two modalities, masks that fit both."""

import numpy as np
import pytest
import scipy.ndimage

from medtl_core.data.phantoms.volumes import MODALITIES, draw_volumes
from medtl_core.errors import MedtlError

DRAWN = draw_volumes(6, seed=0)


def mean_in(modality, value):
    return DRAWN.volumes[modality][DRAWN.masks == value].mean()


def test_every_case_has_both_structures_in_one_piece_each():
    assert DRAWN.masks.shape == (6, 24, 24, 24)
    for mask in DRAWN.masks:
        for value in (1, 2):
            pieces, _ = scipy.ndimage.label(mask == value)
            sizes = np.bincount(pieces.ravel())[1:]
            assert sizes.max() > 100
            assert sizes.max() / sizes.sum() > 0.9


def test_the_modalities_reverse_the_contrast_of_the_same_anatomy():
    near = scipy.ndimage.binary_dilation(DRAWN.masks > 0, np.ones((1, 3, 3, 3)))
    shell = near & (DRAWN.masks == 0)
    for value in (1, 2):
        assert mean_in("t1_like", value) > DRAWN.volumes["t1_like"][shell].mean() + 10
        assert mean_in("t2_like", value) < DRAWN.volumes["t2_like"][shell].mean() - 10
    assert mean_in("t1_like", 1) > mean_in("t1_like", 2)
    assert mean_in("t2_like", 1) < mean_in("t2_like", 2)


def test_edges_of_both_modalities_lie_at_the_same_place():
    first, second = (DRAWN.volumes[name].astype(float) for name in MODALITIES)
    paired = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(first, second, strict=True)]
    other = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(first, second[::-1], strict=True)]
    assert np.mean(paired) > np.mean(other)


def test_the_seed_decides_and_more_cases_begin_with_the_same_ones():
    again, other = draw_volumes(6, seed=0), draw_volumes(6, seed=1)
    for name in MODALITIES:
        assert np.array_equal(again.volumes[name], DRAWN.volumes[name])
        assert not np.array_equal(other.volumes[name], DRAWN.volumes[name])
        assert np.array_equal(draw_volumes(2, seed=0).volumes[name], DRAWN.volumes[name][:2])
    assert draw_volumes(1, seed=0, size=17).masks.shape == (1, 17, 17, 17)
    assert len(set(DRAWN.groups)) == 6


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(MedtlError, match="size 8; expected"):
        draw_volumes(2, seed=0, size=8)
    with pytest.raises(MedtlError, match="n 0"):
        draw_volumes(0, seed=0)
