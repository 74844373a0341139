"""The p value of a permutation test, counted on paper and against SciPy."""

import numpy as np
import pytest
from scipy import stats

from medtl_core.evaluation.statistics import permutation_p


def test_counts_on_paper():
    null = np.array([1.0, 2.0, 3.0, 4.0])
    assert permutation_p(5.0, null) == pytest.approx(1 / 5)
    assert permutation_p(3.0, null) == pytest.approx(3 / 5)  # itself, 3 and 4
    assert permutation_p(3.0 + 1e-14, null) == pytest.approx(3 / 5)
    assert permutation_p(0.0, null) == 1


def test_equals_scipys_p_value_on_its_own_null():
    rng = np.random.default_rng(0)
    x, y = rng.normal(0.8, 1, 12), rng.normal(0, 1, 15)
    result = stats.permutation_test(
        (x, y), lambda a, b: a.mean() - b.mean(), alternative="greater", n_resamples=199, rng=1
    )
    assert permutation_p(result.statistic, result.null_distribution) == pytest.approx(result.pvalue)
