"""A network as it is used once trained: a copy in evaluation mode on a device, and noise to feed it."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from medtl_core.errors import MedtlError


def inference_copy(network: nn.Module, device: torch.device | str = "cpu") -> nn.Module:
    """A copy of `network` on `device`: evaluation mode, channels_last, no gradients.

    The original stays as it is. Raises MedtlError for a CUDA device that is not there.
    """
    place = torch.device(device)
    if place.type == "cuda" and (place.index or 0) >= torch.cuda.device_count():
        raise MedtlError(
            f"device is {device!s}, found {torch.cuda.device_count()} CUDA devices; use one of them, or cpu"
        )
    copied = copy.deepcopy(network).eval().requires_grad_(False)
    return copied.to(place).to(memory_format=torch.channels_last)


def noise_images(shape: tuple[int, ...], device: torch.device | str = "cpu") -> Tensor:
    """Standard normal values (N, C, H, W) in channels_last, the same on every call.

    Noise and not zeros, so that no operation meets an input that it can skip. Raises MedtlError for another
    number of dimensions and for one below 1.
    """
    if len(shape) != 4 or min(shape) < 1:
        raise MedtlError(f"input shape is {tuple(shape)}, expected (images, channels, height, width)")
    values = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return values.to(device).contiguous(memory_format=torch.channels_last)


def outputs(network: nn.Module, images: Tensor) -> Tensor:
    """What `network` answers to images (N, C, H, W); MedtlError if it refuses their shape."""
    try:
        with torch.no_grad():
            return network(images)
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise MedtlError(
            f"{type(network).__name__} refuses inputs of shape {tuple(images.shape)}: {reason}; "
            "expected a shape that fits it"
        ) from error
