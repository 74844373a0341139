import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medtl_core.errors import MedtlError
from medtl_core.evaluation.label_efficiency import labels_needed

SIZES = [32, 64, 128, 256, 512]


@given(st.floats(1.0, 4.0), st.floats(0.62, 0.68))
def test_a_planted_ratio_is_recovered(ratio, target):
    """Two curves that are linear in log2 n, one of them `ratio` times as hungry for labels."""
    frugal = [0.5 + 0.03 * np.log2(n / 8) for n in SIZES]
    hungry = [0.5 + 0.03 * np.log2(n / 8 / ratio) for n in SIZES]
    few, censored = labels_needed(target, SIZES, frugal)
    many, _ = labels_needed(target, SIZES, hungry)
    assert not censored or few in (SIZES[0], SIZES[-1])
    if not censored and SIZES[0] < many < SIZES[-1]:
        assert many / few == pytest.approx(ratio, rel=1e-6)
        assert few == pytest.approx(8 * 2 ** ((target - 0.5) / 0.03), rel=1e-6)


@pytest.mark.parametrize(
    ("target", "values", "expected"),
    [
        (0.75, [0.7, 0.8], (128.0, False)),
        (0.9, [0.7, 0.8], (256.0, True)),
        (0.6, [0.7, 0.8], (64.0, True)),
        (0.7, [0.7, 0.8], (64.0, True)),
        (0.8, [0.7, 0.8], (256.0, False)),
        (0.75, [0.8, 0.7], (64.0, True)),
    ],
)
def test_by_hand(target, values, expected):
    assert labels_needed(target, [64, 256], values) == expected


def test_a_dip_does_not_count():
    assert labels_needed(0.75, [32, 64, 128], [0.7, 0.6, 0.8]) == (pytest.approx(64 * 2**0.5), False)


@pytest.mark.parametrize(
    ("sizes", "values"), [([64, 32], [0.5, 0.6]), ([64], [0.5, 0.6]), ([], []), ([64, 64], [0.1, 0.2])]
)
def test_no_curve_is_one_line(sizes, values):
    with pytest.raises(MedtlError, match="expected rising sizes"):
        labels_needed(0.5, sizes, values)
