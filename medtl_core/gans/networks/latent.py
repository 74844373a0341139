"""What all generators of images from noise have in common."""

from torch import nn


class LatentGenerator(nn.Module):
    """A network from latent vectors (N, latent_dim), with components in -1 to 1, to images in -1 to 1."""

    latent_dim: int
