"""DAR-UNet, the 3-D network of Yao et al. 2022, at a width and depth of choice.

As their public code defines it: residual blocks with a quad gate behind the sum, a decoder gate (VAM) made of
encoder and decoder features, strides that spare the depth in the first two levels, deep supervision at each
level, and one output that fuses them all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from medtl_core.segmentation.networks.gates import QuadGate
from medtl_core.segmentation.networks.layers import (
    crop_to,
    group_norm,
    pad_to_multiple,
    require_widths,
    start_weights,
)
from medtl_core.segmentation.networks.unet import Gate, enlarged

SPARED_LEVELS = 2  # the first two steps down leave the depth as it is
Stride = tuple[int, int, int]


def _activated(channels: int) -> list[nn.Module]:
    return [group_norm(channels), nn.LeakyReLU(inplace=True)]


class ResidualBlock(nn.Module):
    """gate(three convolutions + skip path), the skip path a convolution of kernel 3 with group norm.

    From the image on, the first norm is left out: there is nothing yet to be normalised.
    """

    def __init__(
        self, inputs: int, outputs: int, gate: Gate, stride: Stride = (1, 1, 1), from_image: bool = False
    ) -> None:
        super().__init__()
        self.path = nn.Sequential(
            *([] if from_image else [group_norm(inputs), nn.LeakyReLU()]),
            nn.Conv3d(inputs, outputs, 3, stride=stride, padding=1),
            *_activated(outputs),
            nn.Conv3d(outputs, outputs, 3, padding=1),
            *_activated(outputs),
            nn.Conv3d(outputs, outputs, 3, padding=1),
        )
        self.skip = nn.Sequential(
            nn.Conv3d(inputs, outputs, 3, stride=stride, padding=1), group_norm(outputs)
        )
        self.gate = gate(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, outputs, *size / stride)."""
        out: Tensor = self.gate(self.path(x) + self.skip(x))
        return out


class DecoderGate(nn.Module):
    """VAM: encoder and decoder features make one map, which multiplies the decoder's on their way up.

    The map has no sigmoid in the public code, so it is not confined to 0 to 1.
    """

    def __init__(self, encoder: int, decoder: int, stride: Stride) -> None:
        super().__init__()
        self.of_encoder = nn.Sequential(
            group_norm(encoder),
            nn.LeakyReLU(),
            nn.Conv3d(encoder, decoder, 3, padding=1),
            nn.MaxPool3d(stride, stride),
        )
        self.of_decoder = nn.Sequential(
            group_norm(decoder), nn.LeakyReLU(), nn.Conv3d(decoder, decoder, 3, padding=1)
        )
        self.map = nn.Sequential(*_activated(decoder), nn.Conv3d(decoder, 1, 1))
        last = (stride[0] - 1, stride[1] - 1, stride[2] - 1)
        self.upsample = nn.ConvTranspose3d(decoder, decoder, 3, stride, padding=1, output_padding=last)

    def forward(self, encoded: Tensor, decoded: Tensor) -> Tensor:
        """The gated and enlarged decoder features, then those of the encoder, joined along the channels."""
        gate = self.map(self.of_encoder(encoded) + self.of_decoder(decoded))
        return torch.cat([self.upsample(gate * decoded), encoded], dim=1)


class DARUNet(nn.Module):
    """Logits (N, classes, D, H, W) for volumes (N, channels, D, H, W).

    widths: the paper's are 16, 32, 64, 128, 256; small ones train on two cores. Sides are padded at their end
    and the output is cropped, as in `UNet`. gate: makes the gate of a residual block for a number of
    channels; the quad gate unless another one, or `nn.Identity`, is to be compared with it.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        *,
        widths: Sequence[int] = (8, 16, 32),
        gate: Gate | None = None,
        seed: int,
    ) -> None:
        super().__init__()
        require_widths(widths, "DAR-UNet")
        made: Callable[[int], nn.Module] = gate or (lambda _: QuadGate())
        strides: list[Stride] = [
            (1, 2, 2) if level < SPARED_LEVELS else (2, 2, 2) for level in range(len(widths) - 1)
        ]
        self.multiples = (2 ** max(0, len(strides) - SPARED_LEVELS), 2 ** len(strides), 2 ** len(strides))
        pairs = list(pairwise(widths))
        self.first = ResidualBlock(channels, widths[0], made, from_image=True)
        self.down = nn.ModuleList(
            ResidualBlock(i, o, made, stride) for (i, o), stride in zip(pairs, strides, strict=True)
        )
        self.decoder_gates = nn.ModuleList(
            DecoderGate(i, o, stride) for (i, o), stride in zip(pairs, strides, strict=True)
        )
        self.up = nn.ModuleList(ResidualBlock(i + o, i, made) for i, o in pairs)
        self.sides = nn.ModuleList(nn.Conv3d(width, classes, 3, padding=1) for width in widths)
        self.fuse = nn.Conv3d(classes * len(widths), classes, 3, padding=1)
        start_weights(self, seed)

    def heads(self, x: Tensor) -> tuple[Tensor, ...]:
        """The fused output, then that of each level from the finest on: the loss is their unweighted sum."""
        encoded = [self.first(pad_to_multiple(x, self.multiples))]
        for block in self.down:
            encoded.append(block(encoded[-1]))
        decoded = [encoded[-1]]
        for gate, block, skip in zip(
            reversed(self.decoder_gates), reversed(self.up), reversed(encoded[:-1]), strict=True
        ):
            decoded.append(block(gate(skip, decoded[-1])))
        sides = [side(y) for side, y in zip(self.sides, reversed(decoded), strict=True)]
        sides = [sides[0], *(enlarged(side, sides[0]) for side in sides[1:])]
        fused = self.fuse(torch.cat(sides, dim=1))
        return tuple(crop_to(head, x.shape[2:]) for head in (fused, *sides))

    def forward(self, x: Tensor) -> Tensor:
        """The fused output."""
        return self.heads(x)[0]
