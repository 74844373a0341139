"""Dice coefficient of predicted masks, case by case."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from medtl_core.errors import MedtlError
from medtl_core.segmentation.cases import SegmentationCases, UnlabelledImages, intensities
from medtl_core.training.prediction import evaluation_mode


def dice_per_case(predicted: NDArray[np.uint8], true: NDArray[np.uint8], classes: int) -> NDArray[np.float64]:
    """2 |P and T| / (|P| + |T|) of each case and each foreground class, (N, classes - 1).

    predicted, true: integer masks (N, *size). Each number is computed once over the whole mask of a case, not
    as a mean over slices or crops. A class that both masks lack has no Dice coefficient and is NaN; one that
    only the prediction has is 0. Raises MedtlError for masks of different sizes.
    """
    if predicted.shape != true.shape:
        raise MedtlError(
            f"Dice: predicted masks {predicted.shape} and true masks {true.shape}, expected the same size"
        )
    n = len(true)
    columns = []
    for k in range(1, classes):
        p, t = (predicted == k).reshape(n, -1), (true == k).reshape(n, -1)
        total = p.sum(1) + t.sum(1)
        overlap = 2.0 * (p & t).sum(1)
        columns.append(np.divide(overlap, total, out=np.full(n, np.nan), where=total > 0))
    return np.stack(columns, axis=1)


def predict_masks(network: nn.Module, images: UnlabelledImages, batch_size: int = 32) -> NDArray[np.uint8]:
    """The likeliest class of every pixel, uint8 (N, *size); the network sees whole images, not crops.

    The network's mode is restored.
    """
    device = next(network.parameters()).device
    with evaluation_mode(network):
        parts = [
            network(intensities(part.to(device))).argmax(1).to(torch.uint8).cpu()
            for part in images.images.split(batch_size)
        ]
    return torch.cat(parts).numpy()


def measure_dice(network: nn.Module, cases: SegmentationCases, batch_size: int = 32) -> NDArray[np.float64]:
    """`dice_per_case` of the network's masks on labelled cases, (N, K - 1)."""
    predicted = predict_masks(network, cases.without_masks(), batch_size)
    return dice_per_case(predicted, cases.masks.cpu().numpy(), cases.n_classes)
