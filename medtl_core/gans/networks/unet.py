"""The generator of pix2pix: an encoder and decoder with skips (Isola et al. 2017, section 6.1.1)."""

import torch
from torch import Tensor, nn

from medtl_core.gans.networks.starting_weights import initialise, require_counts, require_size

WIDEST = 8  # channels of the deepest maps, as a multiple of the first
NOISY = 3  # levels of the decoder with dropout, the paper's source of noise


class UNetGenerator(nn.Module):
    """Images (N, inputs, size, size) -> images (N, outputs, size, size) in -1 to 1.

    4 x 4 convolutions of stride 2 halve the side while it is even (64 px: down to 1), with `width` to
    8 `width` channels; the way back joins each map with the one of the same side. dropout acts in the
    three deepest levels of the decoder below the last, in training mode alone: the paper keeps it on
    afterwards, too, as the only noise. size: a multiple of 4 from 16 to 128.
    """

    def __init__(
        self, *, size: int, inputs: int, outputs: int, seed: int, width: int = 32, dropout: float = 0.5
    ) -> None:
        super().__init__()
        require_size("U-Net", size)
        require_counts("U-Net", inputs=inputs, outputs=outputs, width=width)
        levels = 0
        while size % 2 == 0:
            size, levels = size // 2, levels + 1
        widths = [inputs] + [width * min(2**k, WIDEST) for k in range(levels)]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        with torch.random.fork_rng(devices=[]):
            for level in range(levels):
                first, deepest = level == 0, level == levels - 1
                down: list[nn.Module] = [] if first else [nn.LeakyReLU(0.2)]
                down += [nn.Conv2d(widths[level], widths[level + 1], 4, 2, 1)]
                # A norm over the single pixel of a single image would erase it.
                down += [] if first or deepest else [nn.BatchNorm2d(widths[level + 1])]
                self.down.append(nn.Sequential(*down))

                joined = widths[level + 1] * (1 if deepest else 2)
                after = outputs if first else widths[level]
                up: list[nn.Module] = [nn.ReLU(), nn.ConvTranspose2d(joined, after, 4, 2, 1)]
                up += [nn.Tanh()] if first else [nn.BatchNorm2d(after)]
                up += [nn.Dropout(dropout)] if not first and level >= levels - NOISY else []
                self.up.insert(0, nn.Sequential(*up))
        initialise(self, seed)

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, C, H, W) -> images (N, outputs, H, W) in -1 to 1."""
        maps = []
        for down in self.down:
            x = down(x)
            maps.append(x)
        x = self.up[0](maps.pop())
        for up in self.up[1:]:
            x = up(torch.cat([x, maps.pop()], dim=1))
        return x
