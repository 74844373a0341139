"""ACGAN: a generator that is told the class, a discriminator that says it (Odena et al. 2017)."""

import torch
from torch import Tensor, nn

from medtl_core.errors import MedtlError
from medtl_core.gans.networks.convolutional import (
    ConvolutionalDiscriminator,
    ConvolutionalGenerator,
)
from medtl_core.gans.networks.starting_weights import initialise


class ConditionalGenerator(ConvolutionalGenerator):
    """Latent vectors (N, latent_dim) and classes (N,) -> images (N, channels, size, size) in -1 to 1.

    Each class has a learned vector that multiplies the latent vector component by component, as in the
    paper's published code; the network behind it is the DCGAN generator.
    """

    def __init__(
        self,
        *,
        size: int,
        channels: int,
        classes: int,
        seed: int,
        latent_dim: int = 100,
        width: int = 32,
        batch_norm: bool = True,
    ) -> None:
        _require_classes(classes)
        super().__init__(
            size=size,
            channels=channels,
            seed=seed,
            latent_dim=latent_dim,
            width=width,
            batch_norm=batch_norm,
        )
        self.classes = classes
        with torch.random.fork_rng(devices=[]):
            self.embedding = nn.Embedding(classes, latent_dim)
        # Vectors of unit spread: those of N(0, .02) would make all latent vectors 0, whatever the class.
        nn.init.normal_(self.embedding.weight, generator=torch.Generator().manual_seed(seed))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latent vectors (N, latent_dim), classes int64 (N,) -> images (N, C, H, W); MedtlError without."""
        if labels is None:
            raise MedtlError("ACGAN generator: no classes, expected one for each latent vector")
        return super().forward(z * self.embedding(labels))


class TwoHeadDiscriminator(ConvolutionalDiscriminator):
    """Images -> logits of being real (N,) and class logits (N, classes), without a soft-max.

    The body is that of the DCGAN discriminator. dropout: share of the last features that is hidden in
    training; Frid-Adar et al. 2018 take .5.
    """

    def __init__(
        self,
        *,
        size: int,
        channels: int,
        classes: int,
        seed: int,
        width: int = 32,
        batch_norm: bool = True,
        dropout: float = 0.5,
    ) -> None:
        _require_classes(classes)
        super().__init__(size=size, channels=channels, seed=seed, width=width, batch_norm=batch_norm)
        self.classes = classes
        self.dropout = nn.Dropout(dropout)
        with torch.random.fork_rng(devices=[]):
            self.class_head = nn.Linear(self.head.in_features, classes)
        initialise(self.class_head, seed)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Images (N, C, H, W) in -1 to 1 -> logits of being real (N,), class logits (N, K)."""
        features = self.dropout(self.body(x))
        return self.head(features).squeeze(1), self.class_head(features)


def _require_classes(classes: int) -> None:
    if classes < 2:
        raise MedtlError(f"ACGAN: {classes} classes, expected at least 2; a DCGAN needs no labels")
