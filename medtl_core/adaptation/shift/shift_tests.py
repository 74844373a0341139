"""Which kind of shift two labelled samples show: covariate, label or concept (Moreno-Torres et al. 2012).

For looking at a construction, such as a made-up target whose labels are known; an adaptation method never
sees this.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2, chi2_contingency
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from medtl_core.errors import MedtlError
from medtl_core.evaluation.discrepancy import mmd_test
from medtl_core.evaluation.statistics.permutation import permutation_p


@dataclass(frozen=True)
class KindOfShift:
    """p values of equal `inputs` P(x), `labels` P(y), `appearance` P(x | y), `concept` P(y | x)."""

    inputs: float
    labels: float
    appearance: float
    concept: float

    def name(self, level: float = 0.01) -> str:
        """`none`, `covariate` (P(y|x) stays), `label` (P(x|y) stays), `concept` (P(x) stays) or `other`.

        A difference counts as shown where its p is at most `level`. One that is not shown may still be there:
        small samples show little.
        """
        if self.inputs > level and self.concept > level:
            return "none"
        if self.concept > level:
            return "covariate"
        if self.labels <= level and self.appearance > level:
            return "label"
        return "concept" if self.inputs > level else "other"


def kind_of_shift(
    source: ArrayLike,
    source_labels: ArrayLike,
    target: ArrayLike,
    target_labels: ArrayLike,
    *,
    components: int = 8,
    permutations: int = 500,
    seed: int = 0,
) -> KindOfShift:
    """Test source (n, d) with labels (n,) against target (m, d) with labels (m,) in four ways.

    P(x): permutation test of MMD. P(y): chi-squared test of the class counts. P(x | y): the sum of MMD^2
    within classes, permuted within them. P(y | x): likelihood-ratio test of logistic regression on at most
    `components` principal components, with and without terms of the domain. The last one takes log odds to
    be linear in the components: where they are not, a covariate shift can pass for one of concept. No p of
    the permutation tests is below 1 / (1 + permutations), so take more permutations for a lower level.

    Cases must be independent: one a patient. Raises MedtlError for label sets that share no class, a class
    that either side has fewer than two cases of, and lengths that differ.
    """
    x, y = _checked(source, source_labels, "source")
    u, v = _checked(target, target_labels, "target")
    if x.shape[1] != u.shape[1]:
        raise MedtlError(f"kind_of_shift: {x.shape[1]} and {u.shape[1]} columns found, expected as many")
    if not set(y) & set(v):
        raise MedtlError(
            f"kind_of_shift: source classes {sorted(map(int, set(y)))} and target classes "
            f"{sorted(map(int, set(v)))} share none, expected one coding of classes for both"
        )
    classes = np.union1d(y, v)
    counts = np.array([[np.count_nonzero(labels == c) for c in classes] for labels in (y, v)])
    if counts.min() < 2 or len(classes) < 2:
        raise MedtlError(
            f"kind_of_shift: class counts {counts[0].tolist()} and {counts[1].tolist()}, expected two "
            "classes or more with at least 2 cases on each side; leave rarer classes out"
        )
    tests = [
        mmd_test(x[y == c], u[v == c], permutations=permutations, seed=seed + i)
        for i, c in enumerate(classes)
    ]
    # Permuted within each class, so the sums over classes are values of one statistic under no difference.
    found = sum(test.statistic for test in tests)
    null = np.sum([test.null for test in tests], axis=0)
    return KindOfShift(
        inputs=mmd_test(x, u, permutations=permutations, seed=seed).p_value,
        labels=float(chi2_contingency(counts).pvalue),
        appearance=permutation_p(found, null),
        concept=_concept_p(x, y, u, v, components),
    )


def _concept_p(
    x: NDArray[np.float64],
    y: NDArray[np.int64],
    u: NDArray[np.float64],
    v: NDArray[np.int64],
    components: int,
) -> float:
    rows, labels = np.concatenate([x, u]), np.concatenate([y, v])
    rows = StandardScaler().fit_transform(rows)
    rows = PCA(min(components, *rows.shape)).fit_transform(rows)
    rows = StandardScaler().fit_transform(rows)
    domain = np.repeat([0.0, 1.0], [len(x), len(u)])[:, None]
    deviances = [
        _deviance(design, labels) for design in (rows, np.concatenate([rows, domain, domain * rows], axis=1))
    ]
    freedom = (len(np.unique(labels)) - 1) * (1 + rows.shape[1])
    return float(chi2.sf(max(0.0, deviances[0] - deviances[1]), freedom))


def _deviance(design: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    # The penalty is too weak to matter and keeps classes that are separable from going to infinity.
    model = LogisticRegression(C=1e4, max_iter=5000, tol=1e-6).fit(design, labels)
    return float(2 * log_loss(labels, model.predict_proba(design), normalize=False, labels=model.classes_))


def _checked(
    features: ArrayLike, labels: ArrayLike, side: str
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    rows, found = np.asarray(features, dtype=np.float64), np.asarray(labels)
    if rows.ndim != 2 or found.shape != (len(rows),) or not np.issubdtype(found.dtype, np.integer):
        raise MedtlError(
            f"kind_of_shift: {side} features {rows.shape} and labels {found.shape} ({found.dtype}), expected "
            "(n, d) and n integers"
        )
    return rows, found.astype(np.int64)
