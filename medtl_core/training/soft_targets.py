"""A training batch with soft targets, under an augmentation that may mix images and their labels."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from medtl_core.data.tensors import DeviceDataset, Normalisation, normalise, replicate_grey
from medtl_core.errors import MedtlError
from medtl_core.training.prediction import Data

Augmentation = Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]]
"""`(images, targets, generator) -> (images, targets)`, such as `AugmentationPolicy.batch`.

images: float (N, C, H, W) in 0 to 1. targets: float (N, K) that sum to 1, one-hot when they are handed over.
"""


def augmented_batch(
    train: Data,
    index: Tensor,
    normalisation: Normalisation | None,
    classes: int,
    augmentation: Augmentation,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Inputs and soft targets (n, `classes`) of the cases of `index`, augmented before they are normalised.

    Grey images are augmented in one channel and replicated afterwards. MedtlError for features, and for an
    augmentation that changes the number of cases or channels, or the targets' shape.
    """
    grey = isinstance(train, DeviceDataset) and train.images.shape[1] == 1
    x = train.inputs(index, None, channels=1) if grey else train.inputs(index, None)  # type: ignore[call-arg]
    if x.ndim != 4:
        raise MedtlError("fit: there is an augmentation, but the inputs are features; it needs images")
    targets = functional.one_hot(train.labels[index], classes).to(x.dtype)
    made, soft = augmentation(x, targets, generator)
    if made.shape[:2] != x.shape[:2] or soft.shape != targets.shape:
        raise MedtlError(
            f"fit: the augmentation made images {tuple(made.shape)} and targets {tuple(soft.shape)} of "
            f"{tuple(x.shape)} and {tuple(targets.shape)}, expected as many cases, channels and classes"
        )
    made = normalise(replicate_grey(made) if grey else made, normalisation)
    return made.contiguous(memory_format=torch.channels_last), soft


def soft_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy of logits (n, outputs) with soft targets (n, K); other outputs have target 0."""
    return functional.cross_entropy(logits, functional.pad(targets, (0, logits.shape[1] - targets.shape[1])))
