"""Convolution, pooling and normalisation for images (two axes) and volumes (three)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from medtl_core.errors import MedtlError

CHANNELS_A_GROUP = 8  # of group normalisation, as in Yao's code


def convolution(spatial: int) -> type[nn.Conv2d] | type[nn.Conv3d]:
    """`Conv2d` for images, `Conv3d` for volumes; MedtlError for another number of axes."""
    if spatial not in (2, 3):
        raise MedtlError(f"segmentation network: spatial is {spatial}, expected 2 (images) or 3 (volumes)")
    return nn.Conv2d if spatial == 2 else nn.Conv3d


def group_norm(channels: int) -> nn.GroupNorm:
    """Group normalisation with 8 channels a group, one group for fewer channels (Yao's code).

    Like instance normalisation it keeps no running statistics: a network carries none of its source along.
    """
    return nn.GroupNorm(max(1, channels // CHANNELS_A_GROUP), channels)


def instance_norm(channels: int) -> nn.GroupNorm:
    """Instance normalisation with scale and offset, for images and volumes: groups of one channel."""
    return nn.GroupNorm(channels, channels)


def require_widths(widths: Sequence[int], network: str) -> None:
    """Raise MedtlError unless there are two levels or more and 8 divides every width above 8."""
    if len(widths) < 2 or any(w < 1 or (w > CHANNELS_A_GROUP and w % CHANNELS_A_GROUP) for w in widths):
        raise MedtlError(
            f"{network}: widths are {tuple(widths)}, expected two levels or more, each of at most "
            f"{CHANNELS_A_GROUP} channels or a multiple of {CHANNELS_A_GROUP}"
        )


def pad_to_multiple(x: Tensor, multiples: Sequence[int]) -> Tensor:
    """x (N, C, *size) with its last pixels repeated until each side is a multiple."""
    missing = [-side % multiple for side, multiple in zip(x.shape[2:], multiples, strict=True)]
    if not any(missing):
        return x
    # functional.pad counts from the last axis backwards.
    return functional.pad(x, [amount for m in reversed(missing) for amount in (0, m)], mode="replicate")


def crop_to(x: Tensor, size: torch.Size) -> Tensor:
    """The first `size` pixels of each axis of x (N, C, *padded size)."""
    for axis, side in enumerate(size, start=2):
        x = x.narrow(axis, 0, side)
    return x


def start_weights(network: nn.Module, seed: int) -> None:
    """Convolutions from He's normal distribution (He et al. 2015), scales of norms 1, biases 0.

    `seed` alone decides them.
    """
    draw = torch.Generator().manual_seed(seed)
    for weights in network.parameters():
        if weights.ndim > 1:
            nn.init.kaiming_normal_(weights, nonlinearity="relu", generator=draw)
    for module in network.modules():
        bias = getattr(module, "bias", None)
        if isinstance(bias, nn.Parameter):
            nn.init.zeros_(bias)
