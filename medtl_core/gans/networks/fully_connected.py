"""Generator and discriminator of fully connected layers (Goodfellow et al. 2014)."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from medtl_core.gans.networks.latent import LatentGenerator
from medtl_core.gans.networks.starting_weights import initialise, require_counts


class MLPGenerator(LatentGenerator):
    """Latent vectors (N, latent_dim) -> outputs (N, *shape), two hidden layers of `width` with ReLU.

    shape: of one output, such as (1, 28, 28) or, for points on a line, (1,). bounded: a tanh brings the
    outputs to -1 to 1; without it they may be any number.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        seed: int,
        latent_dim: int = 100,
        width: int = 128,
        bounded: bool = True,
    ) -> None:
        super().__init__()
        require_counts("MLP generator", latent_dim=latent_dim, width=width, outputs=math.prod(shape))
        self.latent_dim, self.shape = latent_dim, shape
        with torch.random.fork_rng(devices=[]):
            self.body = _layers([latent_dim, width, width, math.prod(shape)], nn.ReLU())
        if bounded:
            self.body.append(nn.Tanh())
        _initialise_wide(self, seed)

    def forward(self, z: Tensor) -> Tensor:
        """Latent vectors (N, latent_dim) -> (N, *shape)."""
        x: Tensor = self.body(z)
        return x.view(len(z), *self.shape)


class MLPDiscriminator(nn.Module):
    """Inputs (N, *shape) -> logits (N,), two hidden layers of `width` with LeakyReLU of slope .2."""

    def __init__(self, shape: tuple[int, ...], *, seed: int, width: int = 128) -> None:
        super().__init__()
        require_counts("MLP discriminator", width=width, inputs=math.prod(shape))
        with torch.random.fork_rng(devices=[]):
            self.body = _layers([math.prod(shape), width, width, 1], nn.LeakyReLU(0.2))
        _initialise_wide(self, seed)

    def forward(self, x: Tensor) -> Tensor:
        """Inputs (N, *shape) -> logits (N,)."""
        logits: Tensor = self.body(x.flatten(1))
        return logits.squeeze(1)


def _layers(sizes: list[int], activation: nn.Module) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), activation]
    return nn.Sequential(*layers[:-1])


def _initialise_wide(network: nn.Module, seed: int) -> None:
    """He et al. 2015: N(0, .02) would leave nothing of a signal after three layers without a norm."""
    initialise(network, seed)
    draw = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=draw)
