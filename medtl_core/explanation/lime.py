"""LIME: a weighted linear model of the network around one image (Ribeiro et al. 2016, arXiv 1602.04938)."""

from __future__ import annotations

import torch
from sklearn.linear_model import Ridge
from torch import Tensor, nn

from medtl_core.errors import MedtlError
from medtl_core.explanation.attribution import Attribution
from medtl_core.explanation.baselines import baseline_of
from medtl_core.explanation.superpixels import checked_segments, coalition_logits, painted

KERNEL_WIDTH = 0.25
PENALTY = 1.0


def lime(
    network: nn.Module,
    x: Tensor,
    target: Tensor,
    *,
    seed: int,
    samples: int = 200,
    count: int = 64,
    segments: Tensor | None = None,
    baseline: str = "mean",
) -> Attribution:
    """Coefficients of a ridge regression of the logit on the superpixels that are left (eq. 1 and 2).

    Each superpixel is left with probability one half; the first sample is the whole image. Weights are
    exp(-d^2 / .25^2) with d the cosine distance to the whole image, the penalty is 1, as in the authors'
    code. samples: at least 2; count: superpixels by SLIC, unless `segments` (N, H, W) are given.
    """
    if samples < 2:
        raise MedtlError(f"lime: {samples} samples, expected at least 2")
    labels = checked_segments(x, segments, count)
    fills = baseline_of(x, baseline)
    coefficients = []
    for image, fill, regions, label in zip(x, fills, labels, target, strict=True):
        m = int(regions.max()) + 1
        generator = torch.Generator().manual_seed(seed)
        left = torch.rand(samples, m, generator=generator) < 0.5
        left[0] = True
        scores = coalition_logits(network, image, fill, regions, left.to(x.device), label)
        distance = 1 - (left.double().sum(1) / m).sqrt()
        weights = torch.exp(-((distance / KERNEL_WIDTH) ** 2))
        model = Ridge(alpha=PENALTY).fit(
            left.double().numpy(), scores.cpu().numpy(), sample_weight=weights.numpy()
        )
        coefficients.append(torch.from_numpy(model.coef_))
    return Attribution(painted(coefficients, labels, x.dtype), (max(len(c) for c in coefficients), 1))
