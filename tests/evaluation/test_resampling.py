"""The interval over seeds and test cases: fast AUROC, variance components, coverage, bad input."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit

from medtl_core.errors import MedtlError
from medtl_core.evaluation.metrics import accuracy, auroc, balanced_accuracy
from medtl_core.evaluation.statistics import equivalence, hierarchical_bootstrap, paired_t
from medtl_core.evaluation.statistics.resampling import AT_ONCE


def two_columns(positive: np.ndarray) -> np.ndarray:
    return np.stack([1 - positive, positive], axis=-1)


def study(
    rng: np.random.Generator,
    *,
    seeds: int = 5,
    cases: int = 156,
    gap: float = 0.0,
    between_seeds: float = 0.2,
    between_arms: float = 0.4,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two arms on one test set: effects of cases (of both arms, one arm, one trial) and of seeds."""
    y = np.concatenate([[0, 1], rng.random(cases - 2) < 0.7]).astype(int)
    shared = rng.normal(size=cases)
    arms = []
    for separation in (1.2 + gap, 1.2):
        per_seed = separation + between_seeds * rng.normal(size=(seeds, 1))
        noise = between_arms * rng.normal(size=cases) + 0.3 * rng.normal(size=(seeds, cases))
        arms.append(two_columns(expit(per_seed * y + shared + noise - 1)))
    return y, arms[0], arms[1]


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("metric", AT_ONCE, ids=lambda metric: metric.__name__)
def test_a_weighted_metric_is_the_metric_of_repeated_cases(metric, n_classes):
    rng = np.random.default_rng(n_classes)
    y = np.arange(60) % n_classes
    scores = rng.integers(1, 6, size=(60, n_classes)).astype(float)
    scores /= scores.sum(axis=1, keepdims=True)
    weights = rng.multinomial(60, np.full(60, 1 / 60), size=20).T
    repeated = [metric(np.repeat(y, w), np.repeat(scores, w, axis=0)) for w in weights.T]
    assert len(set(repeated)) > 5
    assert AT_ONCE[metric](y, scores, weights) == pytest.approx(repeated, abs=1e-12)


def test_fast_auroc_and_any_callable_agree():
    y, treatment, control = study(np.random.default_rng(0), seeds=3, cases=60)
    fast = hierarchical_bootstrap(auroc, y, treatment, control, draws=30)
    slow = hierarchical_bootstrap(lambda labels, s: auroc(labels, s), y, treatment, control, draws=30)
    assert (fast.low, fast.high, fast.p_value) == pytest.approx((slow.low, slow.high, slow.p_value), rel=1e-9)


def test_estimate_and_spread_are_those_of_the_paired_differences():
    y, treatment, control = study(np.random.default_rng(1), gap=0.4)
    found = hierarchical_bootstrap(auroc, y, treatment, control, draws=200)
    oracle = paired_t([auroc(y, s) for s in treatment], [auroc(y, s) for s in control])
    assert (found.estimate, found.sd, found.n) == pytest.approx((oracle.estimate, oracle.sd, 5))
    assert found.standard_error > oracle.standard_error


def test_without_seed_effect_the_error_is_that_of_the_cases():
    """All seeds alike: what is left is the sampling of cases, known in closed form for accuracy."""
    rng = np.random.default_rng(2)
    y = np.arange(200) % 2
    treatment, control = (two_columns(np.tile(rng.random(200), (4, 1))) for _ in range(2))
    found = hierarchical_bootstrap(accuracy, y, treatment, control, draws=2000)
    right = [(arm[0].argmax(axis=1) == y).astype(float) for arm in (treatment, control)]
    assert found.sd == 0.0
    assert found.standard_error == pytest.approx((right[0] - right[1]).std() / np.sqrt(200), rel=0.06)
    assert found.degrees_of_freedom == pytest.approx(99)


def test_without_case_effect_the_interval_is_the_paired_t():
    """Each seed misjudges its own cases: nothing in common that another test set could change."""
    rng = np.random.default_rng(3)
    y = np.arange(1000) % 2
    shifts = rng.normal(0.4, 0.3, size=(6, 1))
    treatment = two_columns(expit(shifts * (2 * y - 1) + rng.normal(size=(6, 1000))))
    control = two_columns(expit(rng.normal(size=(6, 1000))))
    found = hierarchical_bootstrap(auroc, y, treatment, control, draws=1000)
    oracle = paired_t([auroc(y, s) for s in treatment], [auroc(y, s) for s in control])
    assert (found.low, found.high) == pytest.approx((oracle.low, oracle.high), abs=0.003)


def true_difference(gap: float, between_seeds: float, between_arms: float = 0.4) -> float:
    """Expected AUROC difference of `study` over seeds and cases: AUROC of two normals of one variance."""
    deviation = np.sqrt(2 * (1 + between_arms**2 + 0.3**2))
    seeds = between_seeds * np.random.default_rng(0).normal(size=200_000)
    return float(
        np.mean(stats.norm.cdf((1.2 + gap + seeds) / deviation) - stats.norm.cdf((1.2 + seeds) / deviation))
    )


@pytest.mark.slow
def test_five_seeds_and_156_cases_cover_95_percent_where_seeds_alone_do_not():
    rng = np.random.default_rng(4)
    studies, gap, spread = 400, 0.4, 0.15
    truth = true_difference(gap, spread)
    covered = covered_by_seeds = 0
    for _ in range(studies):
        found = hierarchical_bootstrap(auroc, *study(rng, gap=gap, between_seeds=spread), draws=200)
        covered += found.low <= truth <= found.high
        covered_by_seeds += abs(found.estimate - truth) <= stats.t.ppf(0.975, 4) * found.sd / np.sqrt(5)
    assert covered / studies == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / studies))
    assert covered_by_seeds / studies < 0.9


@pytest.mark.slow
def test_false_positives_over_seeds_and_cases_stay_at_five_percent():
    rng = np.random.default_rng(11)
    found = [hierarchical_bootstrap(auroc, *study(rng), draws=200).p_value < 0.05 for _ in range(400)]
    assert np.mean(found) <= 0.05 + 3 * np.sqrt(0.95 * 0.05 / 400)


def test_identical_arms_and_reproducible_draws():
    y, treatment, control = study(np.random.default_rng(5))
    same = hierarchical_bootstrap(auroc, y, treatment, treatment, draws=50)
    assert (same.estimate, same.low, same.high, same.p_value) == (0.0, 0.0, 0.0, 1.0)
    first, again, other = (
        hierarchical_bootstrap(auroc, y, treatment, control, draws=100, seed=seed) for seed in (0, 0, 1)
    )
    assert first == again
    assert first.standard_error != other.standard_error


def test_two_arms_are_paired_case_by_case():
    """Arms that err on the same cases differ less from test set to test set than arms that err apart."""
    alike, apart = (
        hierarchical_bootstrap(
            auroc,
            *study(np.random.default_rng(6), cases=400, between_seeds=0.02, between_arms=deviation),
            draws=500,
        )
        for deviation in (0.05, 1.0)
    )
    assert alike.standard_error < 0.6 * apart.standard_error


def test_equivalence_of_an_interval_over_cases():
    y, treatment, control = study(np.random.default_rng(7), between_seeds=0.02, between_arms=0.02)
    interval = hierarchical_bootstrap(auroc, y, treatment, control, draws=500)
    at_90 = hierarchical_bootstrap(auroc, y, treatment, control, draws=500, confidence=0.9)
    p_value, tested = equivalence(interval, 0.05)
    assert (tested.low, tested.high) == pytest.approx((at_90.low, at_90.high))
    assert p_value < 0.05
    assert equivalence(interval, interval.high / 4)[0] > 0.05


def test_rare_classes_are_in_every_draw():
    y = np.array([0] * 30 + [1, 1, 2, 2])
    scores = np.random.default_rng(9).dirichlet(np.ones(3), (2, 3, 34))
    for metric in (auroc, balanced_accuracy):
        assert np.isfinite(hierarchical_bootstrap(metric, y, scores[0], scores[1], draws=50).standard_error)


def test_bad_input():
    y, treatment, control = study(np.random.default_rng(10))
    with pytest.raises(MedtlError, match="S >= 2"):
        hierarchical_bootstrap(auroc, y, treatment[:1], control[:1])
    with pytest.raises(MedtlError, match=r"shapes \(5, 156, 2\) and \(4, 156, 2\)"):
        hierarchical_bootstrap(auroc, y, treatment, control[:4])
    with pytest.raises(MedtlError, match="156 cases found for 155 labels"):
        hierarchical_bootstrap(auroc, y[1:], treatment, control)
    with pytest.raises(MedtlError, match="sum of 2"):
        hierarchical_bootstrap(auroc, y, treatment, np.ones_like(control))
    with pytest.raises(MedtlError, match="no case of class 0"):
        hierarchical_bootstrap(auroc, np.ones_like(y), treatment, control)
    with pytest.raises(MedtlError, match="draws: 1"):
        hierarchical_bootstrap(auroc, y, treatment, control, draws=1)
    lonely, chance = np.arange(12), np.full((2, 12, 12), 1 / 12)
    with pytest.raises(MedtlError, match="too few for resamples"):
        hierarchical_bootstrap(auroc, lonely, chance, chance)
