"""U-Net for images and volumes (Ronneberger et al. 2015; Çiçek et al. 2016)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from medtl_core.segmentation.networks.layers import (
    convolution,
    crop_to,
    instance_norm,
    pad_to_multiple,
    require_widths,
    start_weights,
)

Gate = Callable[[int], nn.Module]


class DoubleConvolution(nn.Sequential):
    """Twice a convolution of kernel 3, instance norm and ReLU; then a gate, if there is one."""

    def __init__(self, inputs: int, outputs: int, spatial: int, gate: Gate | None = None) -> None:
        conv = convolution(spatial)
        layers = [
            layer
            for channels in (inputs, outputs)
            for layer in (
                conv(channels, outputs, 3, padding=1, bias=False),
                instance_norm(outputs),
                nn.ReLU(inplace=True),
            )
        ]
        super().__init__(*layers, *([] if gate is None else [gate(outputs)]))


class UNet(nn.Module):
    """Encoder and decoder with skip connections, logits (N, classes, *size) for x (N, channels, *size).

    widths: channels of each level; every level halves the sides. Sides that 2^(levels - 1) does not divide
    are padded at their end by repeating the border, and the output is cropped, so odd sizes work. gate: makes
    a module for a number of channels, put behind each double convolution, or behind the deepest alone with
    `gate_bottleneck_only` (non-local attention is too large elsewhere).
    Upsampling is linear interpolation and has no weights.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        *,
        spatial: int = 2,
        widths: Sequence[int] = (16, 32, 64),
        gate: Gate | None = None,
        gate_bottleneck_only: bool = False,
        seed: int,
    ) -> None:
        super().__init__()
        require_widths(widths, "U-Net")
        self.factor = 2 ** (len(widths) - 1)
        self.spatial = spatial
        outer = None if gate_bottleneck_only else gate
        sides = pairwise((channels, *widths))
        gates = [outer] * (len(widths) - 1) + [gate]
        self.down = nn.ModuleList(
            DoubleConvolution(i, o, spatial, own) for (i, o), own in zip(sides, gates, strict=True)
        )
        self.up = nn.ModuleList(
            DoubleConvolution(low + skip, skip, spatial, outer)
            for skip, low in reversed(list(pairwise(widths)))
        )
        self.head = convolution(spatial)(widths[0], classes, 1)
        start_weights(self, seed)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the size of x."""
        pool = functional.max_pool2d if self.spatial == 2 else functional.max_pool3d
        y, skips = pad_to_multiple(x, [self.factor] * self.spatial), []
        for level, block in enumerate(self.down):
            y = block(pool(y, 2) if level else y)
            skips.append(y)
        for block, skip in zip(self.up, reversed(skips[:-1]), strict=True):
            y = block(torch.cat([enlarged(y, skip), skip], dim=1))
        return crop_to(self.head(y), x.shape[2:])

    def heads(self, x: Tensor) -> tuple[Tensor, ...]:
        """All outputs that the loss is summed over: one."""
        return (self(x),)


def enlarged(x: Tensor, like: Tensor) -> Tensor:
    """x (N, C, *small) brought to the size of `like` by linear interpolation."""
    mode = "bilinear" if x.ndim == 4 else "trilinear"
    return functional.interpolate(x, like.shape[2:], mode=mode, align_corners=False)
