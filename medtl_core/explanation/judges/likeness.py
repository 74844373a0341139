"""How alike two batches of maps are: rank correlation and structural similarity."""

from __future__ import annotations

import numpy as np
import torch
from scipy.stats import rankdata
from skimage.metrics import structural_similarity
from torch import Tensor


def spearman(a: Tensor, b: Tensor) -> Tensor:
    """Rank correlation (N,) of the values of maps (N, H, W), float64; NaN where a map is flat."""
    ranks = [rankdata(maps.flatten(1).double().cpu().numpy(), axis=1) for maps in (a, b)]
    first, second = (r - r.mean(1, keepdims=True) for r in ranks)
    scale = np.sqrt((first**2).sum(1) * (second**2).sum(1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return torch.from_numpy((first * second).sum(1) / scale)


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity (N,) of maps (N, H, W), each stretched to 0 to 1 first; NaN where one is flat.

    By scikit-image, in windows of 7 x 7, or the largest odd one that fits.
    """
    window = min(7, *(side - 1 + side % 2 for side in a.shape[-2:]))
    values = []
    for pair in zip(a.double().cpu().numpy(), b.double().cpu().numpy(), strict=True):
        if any(map_.max() == map_.min() for map_ in pair) or window < 3:
            values.append(float("nan"))
            continue
        first, second = ((map_ - map_.min()) / (map_.max() - map_.min()) for map_ in pair)
        values.append(_similarity(first, second, window))
    return torch.tensor(values, dtype=torch.float64)


def _similarity(first: np.ndarray, second: np.ndarray, window: int) -> float:
    return float(structural_similarity(first, second, data_range=1.0, win_size=window))  # type: ignore[no-untyped-call]
