"""What would have to be otherwise: the effect of an image translator on a prediction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from medtl_core.errors import MedtlError
from medtl_core.explanation.untouched import untouched


@dataclass(frozen=True)
class Counterfactual:
    """images: (N, C, H, W), translated; change_of_probability: (N, K), after minus before; mean_change: (N,).

    mean_change is the mean absolute change of a value of the image, in units of the network's input.
    """

    images: Tensor
    change_of_probability: Tensor
    mean_change: Tensor


def counterfactual(network: nn.Module, x: Tensor, translate: Callable[[Tensor], Tensor]) -> Counterfactual:
    """Translate images x (N, C, H, W), such as from diseased to healthy, and ask the network again.

    Raises MedtlError where `translate` changes the shape.
    """
    with untouched(network), torch.no_grad():
        images = translate(x)
        if images.shape != x.shape:
            raise MedtlError(
                f"counterfactual: translate gives {tuple(images.shape)}, expected {tuple(x.shape)}"
            )
        change = network(images).softmax(1) - network(x).softmax(1)
    return Counterfactual(images, change, (images - x).abs().mean((1, 2, 3)))
