"""Intervals over seeds and test cases together, for small test sets that other cases might contradict."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medtl_core.errors import MedtlError
from medtl_core.evaluation.metrics import auroc
from medtl_core.evaluation.scores import checked_probabilities, require_every_class
from medtl_core.evaluation.statistics.intervals import Interval, standard_deviation, t_interval
from medtl_core.evaluation.statistics.weighted import weighted_auroc

Metric = Callable[[NDArray[np.int64], NDArray[np.float64]], float]

BLOCK_ELEMENTS = 2**21
"""Cases x draws that are held in memory at a time."""

RAREST_SHARE = 100
"""At least one draw in so many must hold every class, else the test set is too small to resample."""


def hierarchical_bootstrap(
    metric: Metric,
    y: ArrayLike,
    treatment_scores: ArrayLike,
    control_scores: ArrayLike,
    draws: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Interval:
    """Interval of the mean difference metric(treatment) - metric(control) over seeds and over test cases.

    `y` (N,) are the labels of the test set that all seeds share; scores are (S, N, K) class probabilities,
    seed s at position s in both arms. `auroc` is computed for all draws at once; another metric is called 2 S
    times a draw, on samples that hold every class of `y`.

    As in studies of readers and cases (Obuchowski & Rockette 1995), the mean over S seeds has the variance
    s^2 / S + c. s is the standard deviation of the differences between seeds; c, at least 0, is the
    covariance of the differences of two seeds over bootstrap samples of the cases, drawn alike for all seeds
    and both arms. The interval is a t-interval with Satterthwaite's degrees of freedom. Simulated coverage of
    the 95 % interval of an AUROC difference with 5 seeds and 156 cases, by what dominates (3,000 studies
    each):

    variance mostly of                       seeds   both   cases
    this interval                            95.0    94.9   95.7
    percentiles of seeds, then cases         86.0    93.3   94.9
    t of the inflated bootstrap deviation    97.4    99.4   99.9   (up to 60 % wider)
    paired t over seeds alone                95.0    90.7   49.3

    MedtlError for fewer than two seeds or draws, shapes that do not fit, bad scores
    (`checked_probabilities`), and classes so rare that hardly any draw holds them all.
    """
    labels, treatment, control = _checked(y, treatment_scores, control_scores)
    if draws < 2:
        raise MedtlError(f"draws: {draws} found, expected at least 2; 2000 is the usual number")
    if metric is auroc:
        require_every_class(labels, treatment.shape[2], "AUROC")
    seeds = len(treatment)
    once = np.ones((labels.size, 1), dtype=np.int64)
    differences = _differences(metric, labels, treatment, control, once)[0]
    resampled = np.concatenate(
        [
            _differences(metric, labels, treatment, control, weights)
            for weights in _case_weights(labels, draws, np.random.default_rng(seed))
        ]
    )
    covariance = np.cov(resampled, rowvar=False)
    between_cases = max(float(covariance.sum() - np.trace(covariance)) / (seeds * (seeds - 1)), 0.0)
    sd = standard_deviation(differences)
    between_seeds = sd**2 / seeds
    variance = between_seeds + between_cases
    rarest = int(np.unique(labels, return_counts=True)[1].min())
    return t_interval(
        estimate=float(differences.mean()),
        standard_error=variance**0.5,
        degrees=_degrees(between_seeds, seeds, between_cases, rarest),
        n=seeds,
        sd=sd,
        method="paired t over seeds and bootstrapped cases",
        confidence=confidence,
    )


def _degrees(between_seeds: float, seeds: int, between_cases: float, rarest: int) -> float:
    """Satterthwaite's degrees of freedom of the summed variance; the rarest class bounds what cases tell."""
    uncertainty = between_seeds**2 / (seeds - 1) + between_cases**2 / max(rarest - 1, 1)
    return (between_seeds + between_cases) ** 2 / uncertainty if uncertainty else float("inf")


def _differences(
    metric: Metric,
    labels: NDArray[np.int64],
    treatment: NDArray[np.float64],
    control: NDArray[np.float64],
    weights: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Difference of the arms per draw and seed (draws, S); weights (N, draws): how often a case is drawn."""
    seeds = range(len(treatment))
    if metric is auroc:
        columns = [
            weighted_auroc(labels, treatment[s], weights) - weighted_auroc(labels, control[s], weights)
            for s in seeds
        ]
        return np.stack(columns, axis=1)
    rows = []
    for draw in range(weights.shape[1]):
        cases = np.repeat(np.arange(labels.size), weights[:, draw])
        chosen = labels[cases]
        rows.append([metric(chosen, treatment[s, cases]) - metric(chosen, control[s, cases]) for s in seeds])
    return np.array(rows, dtype=np.float64)


def _case_weights(
    labels: NDArray[np.int64], draws: int, generator: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """Blocks of bootstrap samples of the cases as counts (N, block); each sample holds every class."""
    share = np.full(labels.size, 1.0 / labels.size)
    block = max(1, min(draws, BLOCK_ELEMENTS // labels.size))
    left = draws
    while left:
        counts = generator.multinomial(labels.size, share, size=block)
        per_class = np.stack([counts[:, labels == k].sum(axis=1) for k in np.unique(labels)], axis=1)
        complete = counts[(per_class > 0).all(axis=1)]
        if len(complete) * RAREST_SHARE < block:
            raise MedtlError(
                f"labels: {labels.size} test cases found, too few for resamples that hold every class; "
                f"expected several cases of each class, use a larger test set"
            )
        complete = complete[:left]
        left -= len(complete)
        yield np.ascontiguousarray(complete.T)


def _checked(
    y: ArrayLike, treatment_scores: ArrayLike, control_scores: ArrayLike
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    arms = [np.asarray(scores, dtype=np.float64) for scores in (treatment_scores, control_scores)]
    treatment, control = arms
    if treatment.shape != control.shape or treatment.ndim != 3 or len(treatment) < 2:
        raise MedtlError(
            f"scores: shapes {treatment.shape} and {control.shape} found, expected (S, N, K) twice, S >= 2; "
            f"run every seed in both arms on the same test cases"
        )
    for arm in arms:
        for scores in arm:
            labels, _ = checked_probabilities(y, scores)
    return labels, treatment, control
