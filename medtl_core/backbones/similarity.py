"""How alike two sets of features of the same images are: linear CKA, SVCCA, and what chance would give.

Both measures compare features (n, d1) and (n, d2) whose rows belong to the same n images, from two layers,
two networks, or one layer before and after fine-tuning; d1 and d2 may differ. 1 means equal up to a rotation
and a scale (CKA), or up to any invertible linear map (SVCCA at variance 1). Neither is 0 for unrelated
features when n is small: read a value beside its `noise_floor`.

Activations (N, C, h, w) become rows by pooling, (N, C), or by position,
`activation.permute(0, 2, 3, 1).reshape(-1, C)`. Positions of one image are not independent of each other, so
the floor of rows by position is too low.

CKA: Kornblith et al. 2019, "Similarity of neural network representations revisited", section 3. SVCCA: Raghu
et al. 2017, "SVCCA: singular vector canonical correlation analysis for deep learning dynamics and
interpretability".
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from medtl_core.errors import MedtlError

Measure = Callable[[np.ndarray, np.ndarray], float]

_FEWEST = 3  # two centred rows lie on a line: every pair of features would be alike


def linear_cka(x: np.ndarray, y: np.ndarray) -> float:
    """Linear centred kernel alignment of features (n, d1) and (n, d2), between 0 and 1.

    With columns centred, K = X X' and L = Y Y', and the biased estimate HSIC(K, L) = tr(K L) / (n - 1)^2:

        CKA = HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)) = |Y'X|^2 / (|X'X| |Y'Y|)    (Frobenius norms)

    The first form is computed when there are fewer images than features, the second otherwise. Invariant to
    orthogonal maps and to scaling of either side. Shuffled rows give tr(K) tr(L) / ((n - 1) |K| |L|) on
    average, which comes close to 1 when n is small against the dimensions that the features use.

    Raises MedtlError for arrays that are not (n, d) with the same n, fewer than 3 images, values that are not
    finite, and features that are the same for all images.
    """
    x, y = _centred("linear_cka", x, y)
    if len(x) < max(x.shape[1], y.shape[1]):
        k, l = x @ x.T, y @ y.T  # noqa: E741 (the paper's letters)
        alignment = np.sum(k * l) / (np.linalg.norm(k) * np.linalg.norm(l))
    else:
        alignment = np.linalg.norm(y.T @ x) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))
    return float(np.clip(alignment, 0.0, 1.0))


def svcca(x: np.ndarray, y: np.ndarray, variance: float = 0.99) -> float:
    """Singular vector canonical correlation: mean of `canonical_correlations` (n, d1), (n, d2), from 0 to 1.

    variance: share that the kept singular directions of each side explain; 1 keeps all, which is plain CCA.
    Raises MedtlError as `canonical_correlations` does.
    """
    return float(canonical_correlations(x, y, variance).mean())


def canonical_correlations(x: np.ndarray, y: np.ndarray, variance: float = 1.0) -> np.ndarray:
    """Canonical correlations of features (n, d1) and (n, d2), descending, each from 0 to 1.

    Each centred matrix keeps the fewest singular directions that explain `variance` of it: k1 and k2 of them.
    Directions below the rounding error of the matrix are no features and never count. The min(k1, k2)
    correlations are the cosines of the principal angles between the two spans.

    Raises MedtlError for input that `linear_cka` would refuse, a variance outside (0, 1], and
    n < k1 + k2 + 1: the spans then meet for lack of room, and correlations of 1 say nothing.
    """
    if not 0 < variance <= 1:
        raise MedtlError(f"canonical correlations: variance is {variance}, expected a share in (0, 1]")
    centred_x, centred_y = _centred("canonical correlations", x, y)
    u, v = _directions(centred_x, variance, _rounding(x)), _directions(centred_y, variance, _rounding(y))
    needed = u.shape[1] + v.shape[1] + 1
    if len(u) < needed:
        raise MedtlError(
            f"canonical correlations: {len(u)} images for {u.shape[1]} and {v.shape[1]} directions, expected "
            f"at least {needed}; take more images, a smaller variance, or linear_cka"
        )
    return np.clip(np.linalg.svd(u.T @ v, compute_uv=False), 0.0, 1.0)


def noise_floor(
    measure: Measure, x: np.ndarray, y: np.ndarray, *, seed: int, repeats: int = 20
) -> np.ndarray:
    """What `measure` says of unrelated features: (repeats,) values, each with the rows of y shuffled.

    The similarity of x and y means something as far as it exceeds these values.
    Raises MedtlError for fewer than one repeat, and as the measure does.
    """
    if repeats < 1:
        raise MedtlError(f"noise floor: repeats is {repeats}, expected at least 1")
    rng = np.random.default_rng(seed)
    return np.array([measure(x, rng.permutation(y)) for _ in range(repeats)])


def _centred(what: str, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both matrices checked, with columns of mean 0 and a largest value of 1."""
    x, y = np.asarray(x), np.asarray(y)
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y) or 0 in (*x.shape, *y.shape):
        raise MedtlError(
            f"{what}: shapes are {x.shape} and {y.shape}, expected (n, d1) and (n, d2) of the same n images"
        )
    if len(x) < _FEWEST:
        raise MedtlError(f"{what}: {len(x)} images, expected at least {_FEWEST}; take more images")
    return _scaled(what, "first", x), _scaled(what, "second", y)


def _scaled(what: str, which: str, features: np.ndarray) -> np.ndarray:
    if not np.isfinite(features).all():
        count = np.count_nonzero(~np.isfinite(features))
        raise MedtlError(
            f"{what}: {count} values of the {which} features are not finite, expected numbers; "
            "leave those images out"
        )
    if (features == features[0]).all():
        raise MedtlError(
            f"{what}: the {which} features are the same for all images, expected some variation; "
            "compare another layer"
        )
    centred = features.astype(np.float64)
    centred -= centred.mean(axis=0)
    return centred / np.abs(centred).max()


def _rounding(features: np.ndarray) -> float:
    """Relative rounding error of the features as they were given, mostly a network's single precision."""
    exact = not np.issubdtype(features.dtype, np.floating)
    return float(np.finfo(np.float64 if exact else features.dtype).eps)


def _directions(centred: np.ndarray, variance: float, rounding: float) -> np.ndarray:
    """Orthonormal columns (n, k): the fewest left singular vectors that explain `variance`."""
    left, singular, _ = np.linalg.svd(centred, full_matrices=False)
    rank = np.count_nonzero(singular > singular[0] * max(centred.shape) * rounding)
    beyond = np.cumsum(singular[::-1] ** 2)[::-1]  # what the directions from each one on explain
    return left[:, : min(rank, np.count_nonzero(beyond > (1 - variance) * beyond[0]))]
