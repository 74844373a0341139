"""Images at the edge of the room: float (N, C, H, W) in 0 to 1 outside, -1 to 1 inside."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from medtl_core.errors import MedtlError
from medtl_core.files import one_line
from medtl_core.training.prediction import evaluation_mode


def inner_images(images: Tensor, who: str, batch_size: int) -> Tensor:
    """Images in 0 to 1 -> -1 to 1, after a look at what they are.

    MedtlError, naming `who`, for another type or shape, fewer images than a batch, values that are not finite
    and values outside 0 to 1.
    """
    if not isinstance(images, Tensor) or not images.is_floating_point() or images.ndim != 4:
        found = (
            f"{images.dtype} {tuple(images.shape)}" if isinstance(images, Tensor) else type(images).__name__
        )
        raise MedtlError(f"{who}: images of {found}, expected a float tensor (N, C, H, W) in 0 to 1")
    if len(images) < batch_size:
        raise MedtlError(
            f"{who}: {len(images)} images, expected at least one batch of {batch_size}; "
            "give more images or lower the batch size"
        )
    if not torch.isfinite(images).all():
        raise MedtlError(f"{who}: NaN or infinity among the images, expected finite values in 0 to 1")
    low, high = images.amin().item(), images.amax().item()
    if low < 0 or high > 1:
        raise MedtlError(
            f"{who}: images from {low:g} to {high:g}, expected 0 to 1; divide uint8 images by 255"
        )
    return images.float() * 2 - 1


def outer_images(images: Tensor) -> Tensor:
    """Images in -1 to 1 -> 0 to 1, without gradient."""
    return ((images.detach().float() + 1) / 2).clamp(0, 1)


def require_labels(labels: Tensor, count: int, who: str) -> int:
    """Number of classes K of labels 0 to K - 1 (N,) int64.

    MedtlError for another shape or type, one class only, and a class without images.
    """
    if labels.shape != (count,) or labels.dtype != torch.int64:
        raise MedtlError(
            f"{who}: labels {labels.dtype} {tuple(labels.shape)}, expected int64 ({count},), "
            "one for each image"
        )
    present = labels.unique().tolist()
    if len(present) < 2:
        raise MedtlError(f"{who}: one class only ({present}), expected at least 2; a DCGAN needs no labels")
    if present != list(range(len(present))):
        raise MedtlError(f"{who}: classes {present}, expected 0 to {len(present) - 1} with images of each")
    return len(present)


def require_fit(who: str, network: nn.Module, inputs: Sequence[Tensor], made_like: Tensor | None) -> None:
    """A first pass, in evaluation mode, before any training.

    MedtlError where the network does not take the inputs, and where it makes images (n, C, H, W) that differ
    from those of `made_like` in channels or size (None: its output is not looked at).
    """
    remedy = "build the networks for these images"
    try:
        with torch.no_grad(), evaluation_mode(network):
            made = network(*inputs)
    except RuntimeError as error:
        shape = tuple(inputs[0].shape[1:])
        raise MedtlError(f"{who}: does not take {shape} ({one_line(error)[:80]}), {remedy}") from error
    if made_like is not None and made.shape[1:] != made_like.shape[1:]:
        raise MedtlError(
            f"{who}: makes {tuple(made.shape[1:])}, images are {tuple(made_like.shape[1:])}, expected the "
            f"same channels and size; {remedy}"
        )
