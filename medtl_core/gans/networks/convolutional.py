"""DCGAN: generator and discriminator of strided convolutions (Radford et al. 2016)."""

import torch
from torch import Tensor, nn

from medtl_core.gans.networks.latent import LatentGenerator
from medtl_core.gans.networks.starting_weights import initialise, require_counts, require_size


class ConvolutionalGenerator(LatentGenerator):
    """Latent vectors (N, latent_dim) -> images (N, channels, size, size) in -1 to 1.

    A linear layer makes the smallest map, and each 4 x 4 transposed convolution of stride 2 doubles its side
    and halves its channels, with batch norm and ReLU; the last one has `width` channels before it and a tanh
    behind it. The smallest map has a side of 4 for sizes that are a power of 2 and 5 to 7 for most others
    (28 px: 7). size: a multiple of 4 from 16 to 128. Paper and Frid-Adar et al. 2018 take 5 x 5 kernels; a
    kernel that the stride divides leaves no checkerboard (Odena et al. 2016). batch_norm False leaves it out.
    """

    def __init__(
        self,
        *,
        size: int,
        channels: int,
        seed: int,
        latent_dim: int = 100,
        width: int = 32,
        batch_norm: bool = True,
    ) -> None:
        super().__init__()
        require_size("DCGAN generator", size)
        require_counts("DCGAN generator", channels=channels, latent_dim=latent_dim, width=width)
        doublings = halvings(size)
        self.latent_dim, self.start = latent_dim, size >> doublings
        most = width << (doublings - 1)
        with torch.random.fork_rng(devices=[]):
            self.project = nn.Linear(latent_dim, most * self.start**2)
            layers = [*_norm(most, batch_norm), nn.ReLU(inplace=True)]
            for k in range(doublings - 1):
                before, after = most >> k, most >> (k + 1)
                layers += [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=not batch_norm)]
                layers += [*_norm(after, batch_norm), nn.ReLU(inplace=True)]
            self.body = nn.Sequential(*layers, nn.ConvTranspose2d(width, channels, 4, 2, 1), nn.Tanh())
        initialise(self, seed)

    def forward(self, z: Tensor) -> Tensor:
        """Latent vectors (N, latent_dim) -> images (N, C, H, W) in -1 to 1."""
        start: Tensor = self.project(z)
        images: Tensor = self.body(start.view(len(z), -1, self.start, self.start))
        return images


class ConvolutionalDiscriminator(nn.Module):
    """Images (N, channels, size, size) -> logits (N,): the generator's mirror with LeakyReLU of slope .2.

    4 x 4 convolutions of stride 2, from `width` channels on twice as many each time, batch norm in all but
    the first, and a linear layer over the last map. size: a multiple of 4 from 16 to 128.
    """

    def __init__(
        self, *, size: int, channels: int, seed: int, width: int = 32, batch_norm: bool = True
    ) -> None:
        super().__init__()
        require_size("DCGAN discriminator", size)
        require_counts("DCGAN discriminator", channels=channels, width=width)
        steps = halvings(size)
        most = width << (steps - 1)
        with torch.random.fork_rng(devices=[]):
            layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True)]
            for k in range(steps - 1):
                before, after = width << k, width << (k + 1)
                layers += [nn.Conv2d(before, after, 4, 2, 1, bias=not batch_norm)]
                layers += [*_norm(after, batch_norm), nn.LeakyReLU(0.2, inplace=True)]
            self.body = nn.Sequential(*layers, nn.Flatten())
            self.head = nn.Linear(most * (size >> steps) ** 2, 1)
        initialise(self, seed)

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, C, H, W) in -1 to 1 -> logits (N,)."""
        logits: Tensor = self.head(self.body(x))
        return logits.squeeze(1)


def halvings(size: int) -> int:
    """How often `size` can be halved without a remainder and without a side below 4."""
    count = 0
    while size % 2 == 0 and size >= 8:
        size, count = size // 2, count + 1
    return count


def _norm(channels: int, wanted: bool) -> list[nn.Module]:
    return [nn.BatchNorm2d(channels)] if wanted else []
