"""Infidelity and sensitivity (Yeh et al. 2019, arXiv 1901.09392), as captum computes them."""

from __future__ import annotations

from typing import Any

import torch
from captum.metrics import infidelity as captum_infidelity
from captum.metrics import sensitivity_max as captum_sensitivity
from torch import Tensor

from medtl_core.errors import MedtlError
from medtl_core.explanation.explaining import explain
from medtl_core.explanation.judges.judgement import Case, Judgement


def infidelity(case: Case, *, seed: int = 0, samples: int = 20, noise: float = 0.1) -> Judgement:
    """How badly a map foretells what noise does to the logit (definition 2.1), squared units of the logit.

    The noise is Gaussian with standard deviation `noise`, in units of the network's input, equal in all
    channels. Signed maps, each scaled by the factor that suits it best, since units differ between methods.
    """
    _check("infidelity", samples, noise)
    drawn = _noise(case, seed, samples, 1) * noise
    channels = case.x.shape[1]

    def perturb(inputs: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
        change = drawn.repeat(len(inputs) // samples, 1, 1, 1).expand(-1, channels, -1, -1)
        return change, inputs - change

    # The change is equal in all channels, so a map (its channels' sum) may stand in the first one.
    maps = torch.zeros_like(case.x)
    maps[:, 0] = case.explanation.maps
    with torch.no_grad():
        values = captum_infidelity(
            case.network, perturb, case.x, maps, target=case.target, n_perturb_samples=samples, normalize=True
        )
    # captum expands the square: rounding may take it below 0.
    return Judgement("infidelity", values.double().cpu().clamp(min=0), "lower")


def sensitivity_max(case: Case, *, seed: int = 0, samples: int = 5, radius: float = 0.05) -> Judgement:
    """Largest relative change of a map in a small neighbourhood of its image (definition 4.1).

    Images move by uniform noise within +-`radius`, in units of the network's input; the change is the norm
    of the difference of the signed maps over the norm of the map. The method runs again `samples` times.
    """
    _check("sensitivity_max", samples, radius)
    shifts = (_noise(case, seed, samples, case.x.shape[1], uniform=True) * 2 - 1) * radius
    explanation = case.explanation

    def perturb(inputs: Any, *_: Any) -> Tensor:
        images = inputs[0] if isinstance(inputs, tuple) else inputs
        # captum hands over each image `samples` times in a row.
        moved: Tensor = images + shifts.repeat(len(images) // samples, 1, 1, 1)
        return moved

    def again(inputs: Any, target: Tensor) -> tuple[Tensor]:
        images = inputs[0] if isinstance(inputs, tuple) else inputs
        settings = dict(explanation.settings)
        times = len(images) // len(case.x)
        if len(target) < len(images):  # captum does not repeat the target of a single image
            target = target.repeat_interleave(times, 0)
        if "segments" in settings:
            settings["segments"] = settings["segments"].repeat_interleave(times, 0)
        return (explain(case.network, images, target, explanation.method, **settings).maps,)

    values = captum_sensitivity(
        again, case.x, perturb_func=perturb, n_perturb_samples=samples, target=case.target
    )
    return Judgement("sensitivity_max", values.double().cpu(), "lower")


def _check(judge: str, samples: int, size: float) -> None:
    if samples < 1 or size <= 0:
        raise MedtlError(f"{judge}: {samples} samples of size {size}, expected at least 1 and above 0")


def _noise(case: Case, seed: int, samples: int, channels: int, uniform: bool = False) -> Tensor:
    """The same draws (S, channels, H, W) for each image."""
    draw = torch.rand if uniform else torch.randn
    generator = torch.Generator().manual_seed(seed)
    return draw(samples, channels, *case.x.shape[-2:], generator=generator).to(case.x)
