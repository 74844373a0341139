"""What a network costs: parameters and multiply-accumulate operations."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from medtl_core.backbones.meta_device import call_on_meta_device
from medtl_core.errors import MedtlError

COUNTING_BATCH = 2  # batch norm in training mode refuses a single image whose feature map is 1 x 1


@dataclass(frozen=True)
class Cost:
    """Parameters, those of them that train, and multiply-accumulates of a forward pass of the batch."""

    parameters: int
    trainable: int
    macs: int


def cost(network: nn.Module, input_shape: tuple[int, int, int, int]) -> Cost:
    """Cost of `network` on a batch of `input_shape` = (N, C, H, W); N = 1 gives the cost of an image.

    MACs are half the floating-point operations that `torch.utils.flop_counter` counts: convolutions and
    matrix products, as in the literature; batch norm, activations and pooling count as free. Nothing is
    computed, and the network is left as it was.

    Raises MedtlError if the shape is not (N, C, H, W) or the network refuses it.
    """
    if len(input_shape) != 4 or min(input_shape) < 1:
        raise MedtlError(
            f"cost: input_shape is {tuple(input_shape)}, expected (images, channels, height, width)"
        )
    images, channels, height, width = input_shape
    with FlopCounterMode(display=False) as counter:
        try:
            call_on_meta_device(network, (COUNTING_BATCH, channels, height, width))
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise MedtlError(
                f"cost: {type(network).__name__} refuses inputs of shape {input_shape}: {reason}"
            ) from error
    parameters = list(network.parameters())
    return Cost(
        parameters=sum(p.numel() for p in parameters),
        trainable=sum(p.numel() for p in parameters if p.requires_grad),
        macs=images * counter.get_total_flops() // (2 * COUNTING_BATCH),
    )
