"""Content and style of an image, apart (Huang et al. 2018): the translator of Yao et al. 2022.

One content encoder and one decoder serve both domains; each domain has a style encoder of its own. A
translation is the content of one image decoded with the style of another.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from medtl_core.segmentation.networks.layers import instance_norm, start_weights

STYLE = 8  # length of a style code, the paper's


class AdaptiveBlock(nn.Module):
    """Residual block whose instance norms are set by the style (AdaIN, Huang & Belongie 2017)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        self.affine = nn.Linear(STYLE, 4 * width)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Features (N, width, H, W) with the style (N, 8)."""
        y = x
        parameters = self.affine(style)[..., None, None].chunk(4, dim=1)
        for layer, scale, offset in zip(self.convolutions, parameters[:2], parameters[2:], strict=True):
            y = functional.relu((1 + scale) * functional.instance_norm(layer(y)) + offset)
        return x + y


class StyleTranslator(nn.Module):
    """Content encoder, style encoders `source` and `target`, decoder; images (N, channels, H, W) in -1 to 1.

    Two-dimensional: volumes are translated slice by slice, as in the paper. H and W must be even.
    """

    def __init__(self, channels: int, *, width: int = 16, seed: int) -> None:
        super().__init__()
        self.content = nn.Sequential(
            nn.Conv2d(channels, width, 5, padding=2),
            instance_norm(width),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
            instance_norm(2 * width),
            nn.ReLU(),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1),
            instance_norm(2 * width),
        )
        self.styles = nn.ModuleDict(
            {domain: _style_encoder(channels, width) for domain in ("source", "target")}
        )
        self.blocks = nn.ModuleList(AdaptiveBlock(2 * width) for _ in range(2))
        self.tone = nn.Linear(STYLE, 2 * width)
        self.image = nn.Sequential(
            nn.Conv2d(2 * width, width, 5, padding=2), nn.ReLU(), nn.Conv2d(width, channels, 5, padding=2)
        )
        start_weights(self, seed)

    def encode(self, x: Tensor, domain: str) -> tuple[Tensor, Tensor]:
        """Content (N, 2 width, H / 2, W / 2) and style (N, 8) of images of `source` or `target`."""
        return self.content(x), self.styles[domain](x).flatten(1)

    def decode(self, content: Tensor, style: Tensor) -> Tensor:
        """Images in -1 to 1 with that content and style."""
        y = content
        for block in self.blocks:
            y = block(y, style)
        # No norm stands behind this one, so that the style also sets the overall tone.
        y = functional.interpolate(y + self.tone(style)[..., None, None], scale_factor=2)
        return torch.tanh(self.image(y))


class ContentDiscriminator(nn.Sequential):
    """Logits per patch: does this content come from a source image?"""

    def __init__(self, width: int, *, seed: int) -> None:
        super().__init__(
            nn.Conv2d(2 * width, 2 * width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 1, 3, padding=1),
        )
        start_weights(self, seed)


def _style_encoder(channels: int, width: int) -> nn.Sequential:
    """No norms: they would take away the mean and the contrast, which are style."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 5, padding=2),
        nn.ReLU(),
        nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(2 * width, 2 * width, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Conv2d(2 * width, STYLE, 1),
    )
