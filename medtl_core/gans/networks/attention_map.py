"""The attention network of attention-guided CycleGAN (Mejjati et al. 2018)."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from medtl_core.gans.networks.resnet import ResidualBlock, convolution
from medtl_core.gans.networks.starting_weights import initialise, require_counts


class AttentionNetwork(nn.Module):
    """Images (N, channels, H, W) -> attention maps (N, 1, H, W) in 0 to 1; H and W multiples of 4.

    7 x 7 and 3 x 3 convolutions of stride 2, one residual block, and twice an enlargement to the nearest
    pixel with a 3 x 3 convolution, as in the paper's code; a 7 x 7 convolution and a sigmoid at the end.
    """

    def __init__(self, *, channels: int, seed: int, width: int = 16) -> None:
        super().__init__()
        require_counts("attention network", channels=channels, width=width)
        with torch.random.fork_rng(devices=[]):
            self.shrink = nn.Sequential(
                *convolution(channels, width, 7, stride=2),
                nn.ReLU(inplace=True),
                *convolution(width, 2 * width, 3, stride=2),
                nn.ReLU(inplace=True),
                ResidualBlock(2 * width),
            )
            self.first = nn.Sequential(*convolution(2 * width, 2 * width, 3), nn.ReLU(inplace=True))
            self.second = nn.Sequential(*convolution(2 * width, width, 3), nn.ReLU(inplace=True))
            self.last = nn.Conv2d(width, 1, 7, padding=3, padding_mode="reflect")
        initialise(self, seed)

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, C, H, W) -> maps (N, 1, H, W) in 0 to 1."""
        x = self.first(functional.interpolate(self.shrink(x), scale_factor=2))
        x = self.last(self.second(functional.interpolate(x, scale_factor=2)))
        return x.sigmoid()
