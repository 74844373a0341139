"""Shapley values of superpixels: KernelSHAP, and expected gradients gathered by superpixel."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from medtl_core.errors import MedtlError
from medtl_core.explanation.attribution import Attribution
from medtl_core.explanation.baselines import baseline_of
from medtl_core.explanation.superpixels import checked_segments, coalition_logits, painted
from medtl_core.explanation.untouched import input_gradient


def kernel_shap(
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
    """Shapley values by weighted least squares over coalitions (Lundberg & Lee 2017, theorem 2).

    A map's superpixels sum to f(image) - f(baseline). With 2^M - 2 or more `samples` every coalition of the
    M superpixels is taken and the values are exact; else pairs of a coalition and its complement are drawn
    by the Shapley kernel. Raises MedtlError where the samples do not fix the values: fewer than two for each
    superpixel, or unlucky draws.
    """
    labels = checked_segments(x, segments, count)
    fills = baseline_of(x, baseline)
    values = []
    for image, fill, regions, label in zip(x, fills, labels, target, strict=True):
        m = int(regions.max()) + 1
        left, weights = _coalitions(m, samples, torch.Generator().manual_seed(seed))
        ends = torch.stack([torch.zeros(m, dtype=torch.bool), torch.ones(m, dtype=torch.bool)])
        scores = coalition_logits(
            network, image, fill, regions, torch.cat([ends, left]).to(x.device), label
        ).cpu()
        values.append(_solved(left.double(), weights, scores[2:], float(scores[0]), float(scores[1])))
    return Attribution(painted(values, labels, x.dtype), (max(len(v) for v in values), 1))


def gradient_shap(
    network: nn.Module,
    x: Tensor,
    target: Tensor,
    *,
    seed: int,
    samples: int = 25,
    count: int = 64,
    segments: Tensor | None = None,
    baseline: str = "mean",
) -> Attribution:
    """Expected gradients (Erion et al. 2021, eq. 3), summed over each superpixel.

    The mean of (x - b) * gradient at points drawn uniformly between the baseline b and x, one stratum of
    the way for each sample; b is one baseline, not a set of images. All images see the same draws.
    """
    if samples < 1:
        raise MedtlError(f"gradient_shap: {samples} samples, expected at least 1")
    labels = checked_segments(x, segments, count)
    fill = baseline_of(x, baseline)
    drawn = torch.rand(samples, generator=torch.Generator().manual_seed(seed))
    total = torch.zeros_like(x)
    for i, within in enumerate(drawn.tolist()):
        total += input_gradient(network, fill + (i + within) / samples * (x - fill), target)
    by_pixel = ((x - fill) * total / samples).sum(1)
    sums = []
    for values, regions in zip(by_pixel, labels, strict=True):
        empty = values.new_zeros(int(regions.max()) + 1)
        sums.append(empty.index_add(0, regions.flatten(), values.flatten()))
    return Attribution(painted(sums, labels, x.dtype), (max(len(s) for s in sums), 1))


def _coalitions(m: int, samples: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Coalitions, boolean (S, M), none empty and none whole, and their weights (S,), float64."""
    if m <= 20 and samples >= 2**m - 2:
        numbers = torch.arange(1, 2**m - 1)
        left = (numbers[:, None] >> torch.arange(m)) & 1 == 1
        kernel = [(m - 1) / (math.comb(m, s) * s * (m - s)) for s in left.sum(1).tolist()]
        return left, torch.tensor(kernel, dtype=torch.float64)
    if samples < 2 * m:
        raise MedtlError(f"kernel_shap: {samples} samples for {m} superpixels, expected at least {2 * m}")
    sizes = torch.arange(1, m, dtype=torch.float64)
    # All coalitions of one size together weigh (M - 1) / (s (M - s)).
    chosen = torch.multinomial(1 / (sizes * (m - sizes)), (samples + 1) // 2, True, generator=generator) + 1
    order = torch.rand(len(chosen), m, generator=generator).argsort(dim=1).argsort(dim=1)
    left = order < chosen[:, None]
    both = torch.stack([left, ~left], 1).flatten(0, 1)[:samples]
    return both, torch.ones(len(both), dtype=torch.float64)


def _solved(left: Tensor, weights: Tensor, scores: Tensor, nothing: float, whole: float) -> Tensor:
    """Shapley values (M,): least squares in which the last value is what the others leave of the sum."""
    total = whole - nothing
    design = left[:, :-1] - left[:, -1:]
    response = scores - nothing - left[:, -1] * total
    root = weights.sqrt()
    fitted = torch.linalg.lstsq(root[:, None] * design, (root * response)[:, None], driver="gelsd")
    if int(fitted.rank) < design.shape[1]:
        raise MedtlError(
            f"kernel_shap: {len(left)} samples do not fix {left.shape[1]} superpixels; take more"
        )
    first = fitted.solution[:, 0]
    return torch.cat([first, (total - first.sum())[None]])
