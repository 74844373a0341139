"""ROAD: remove and debias (Rong et al. 2022, arXiv 2202.00449), by noisy linear imputation."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import spsolve
from torch import Tensor

from medtl_core.errors import MedtlError
from medtl_core.explanation.judges.judgement import Case, Judgement, ranked_pixels, target_probability

SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
NEIGHBOURS = [
    (dy, dx, 1 / 6 if dy == 0 or dx == 0 else 1 / 12) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx
]


def road(case: Case, *, seed: int = 0, shares: tuple[float, ...] = SHARES, noise: float = 0.01) -> Judgement:
    """Probability left when the least salient pixels go, minus that when the most salient ones go.

    Averaged over the `shares` of pixels removed. Removed pixels are imputed from their neighbours, so that
    the shape of what was removed does not tell the class. Signed maps; only the order of values counts.
    """
    if not shares or not all(0 < share < 1 for share in shares):
        raise MedtlError(f"road: shares are {shares}, expected some above 0 and below 1")
    order = ranked_pixels(case.explanation.maps)
    pixels = order.shape[1]
    gaps = []
    for share in shares:
        count = max(1, round(share * pixels))
        most, least = (
            target_probability(
                case,
                impute(
                    case.x, _removed(order, chosen).view_as(case.explanation.maps), seed=seed, noise=noise
                ),
            )
            for chosen in (slice(count), slice(pixels - count, None))
        )
        gaps.append((least - most).cpu())
    by_share = torch.stack(gaps, 1)
    return Judgement("road", by_share.mean(1), "higher", {"shares": shares, "gaps": by_share})


def impute(x: Tensor, removed: Tensor, *, seed: int, noise: float = 0.01) -> Tensor:
    """Images x (N, C, H, W) whose pixels `removed` (N, H, W) are those of the noisy linear system.

    Each is the weighted mean of its neighbours, 1/6 straight and 1/12 diagonal, renormalised at the border
    (section 4.3), plus Gaussian noise of standard deviation `noise`; x itself is left alone.
    Raises MedtlError where nothing of an image is kept.
    """
    height, width = removed.shape[-2:]
    generator = np.random.default_rng(seed)
    drawn = noise * generator.standard_normal((x.shape[1], height, width))
    images = x.detach().cpu().double().numpy()
    holes = removed.cpu().numpy()
    filled = images.copy()
    for i, hole in enumerate(holes):
        if hole.all():
            raise MedtlError(f"road: all pixels of image {i} are removed, expected some to impute from")
        if hole.any():
            filled[i][:, hole] = _solved(images[i], hole) + drawn[:, hole]
    return torch.from_numpy(filled).to(x)


def _solved(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Values (C, R) of the R removed pixels of one image (C, H, W)."""
    height, width = hole.shape
    number = np.full(hole.shape, -1)
    count = int(hole.sum())
    number[hole] = np.arange(count)
    rows, columns = np.nonzero(hole)
    own = np.arange(count)
    diagonal = np.zeros(count)
    known = np.zeros((count, image.shape[0]))
    entries: list[tuple[np.ndarray, np.ndarray, float]] = []
    for dy, dx, weight in NEIGHBOURS:
        y, x = rows + dy, columns + dx
        there = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        diagonal += weight * there
        other = number[y[there], x[there]]
        missing = other >= 0
        entries.append((own[there][missing], other[missing], -weight))
        seen = own[there][~missing]
        known[seen] += weight * image[:, y[there][~missing], x[there][~missing]].T
    data = np.concatenate([diagonal, *(np.full(len(i), w) for i, _, w in entries)])
    i = np.concatenate([own, *(i for i, _, _ in entries)])
    j = np.concatenate([own, *(j for _, j, _ in entries)])
    solution = spsolve(coo_matrix((data, (i, j)), shape=(count, count)).tocsc(), known)
    return np.asarray(solution).reshape(count, -1).T


def _removed(order: Tensor, chosen: slice) -> Tensor:
    removed = torch.zeros_like(order, dtype=torch.bool)
    return removed.scatter_(1, order[:, chosen], True)
