"""The discriminator of Tsai et al. 2018: from which domain does this segmentation come?"""

import torch
from torch import Tensor, nn

from medtl_core.segmentation.networks.layers import convolution, start_weights


class OutputDiscriminator(nn.Module):
    """Logits per patch for class probabilities (N, classes, *size); above 0 means source.

    Convolutions of kernel 4 and stride 2 with leaky ReLU (slope .2), no norm, and one to a single channel
    (section 3.3 of the paper, which has four before it with 64 to 512 channels; for small images two or three
    are enough). Every side must be at least 2^(layers + 1).
    """

    def __init__(
        self, classes: int, *, spatial: int = 2, width: int = 16, layers: int = 3, seed: int
    ) -> None:
        super().__init__()
        conv, parts, channels = convolution(spatial), [], classes
        for level in range(layers):
            parts += [conv(channels, width * 2**level, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
            channels = width * 2**level
        self.layers = nn.Sequential(*parts, conv(channels, 1, 4, stride=2, padding=1))
        start_weights(self, seed)

    def forward(self, probabilities: Tensor) -> Tensor:
        """Logits (N, 1, *size / 2^(layers + 1))."""
        out: Tensor = self.layers(probabilities)
        return out


def probabilities(logits: Tensor) -> Tensor:
    """What the discriminator sees of a segmentation: the softmax over classes."""
    return torch.softmax(logits, dim=1)
