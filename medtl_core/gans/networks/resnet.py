"""The generator of CycleGAN: residual blocks between two halvings and two doublings (Zhu et al. 2017)."""

import torch
from torch import Tensor, nn

from medtl_core.gans.networks.starting_weights import initialise, require_counts


class ResidualBlock(nn.Module):
    """x plus two 3 x 3 convolutions of it, with instance norm and reflected borders."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *convolution(channels, channels, 3), nn.ReLU(inplace=True), *convolution(channels, channels, 3)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        y: Tensor = self.body(x)
        return x + y


class ResNetGenerator(nn.Module):
    """Images (N, inputs, H, W) -> images (N, outputs, H, W) in -1 to 1; H and W multiples of 4, at least 16.

    7 x 7 convolution to `width` channels, two 3 x 3 convolutions of stride 2, `blocks` residual blocks, two
    transposed convolutions, 7 x 7 convolution and tanh. The paper takes 6 blocks for 128 px and width 64.
    """

    def __init__(self, *, inputs: int, outputs: int, seed: int, width: int = 32, blocks: int = 3) -> None:
        super().__init__()
        require_counts("ResNet generator", inputs=inputs, outputs=outputs, width=width, blocks=blocks)
        with torch.random.fork_rng(devices=[]):
            layers: list[nn.Module] = [*convolution(inputs, width, 7), nn.ReLU(inplace=True)]
            for k in (1, 2):
                layers += [*convolution(width * k, width * 2 * k, 3, stride=2), nn.ReLU(inplace=True)]
            layers += [ResidualBlock(4 * width) for _ in range(blocks)]
            for k in (2, 1):
                layers += [
                    nn.ConvTranspose2d(width * 2 * k, width * k, 3, 2, 1, output_padding=1),
                    nn.InstanceNorm2d(width * k),
                    nn.ReLU(inplace=True),
                ]
            layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, outputs, 7), nn.Tanh()]
            self.body = nn.Sequential(*layers)
        initialise(self, seed)

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, C, H, W) -> images (N, outputs, H, W) in -1 to 1."""
        images: Tensor = self.body(x)
        return images


def convolution(before: int, after: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    """Reflected border, convolution and instance norm: the side stays, or is divided by the stride."""
    return [
        nn.ReflectionPad2d(kernel // 2),
        nn.Conv2d(before, after, kernel, stride),
        nn.InstanceNorm2d(after),
    ]
