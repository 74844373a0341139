"""Differentiable augmentation of what the discriminator sees (Zhao et al. 2020), for small sets."""

import torch
from torch import Tensor
from torch.nn import functional

LARGEST_SHIFT = 0.125  # of the side, as in the paper
LARGEST_BRIGHTNESS = 0.5  # of values from -1 to 1, as in the paper


def augment_differentiably(x: Tensor, generator: torch.Generator) -> Tensor:
    """Images (N, C, H, W) in -1 to 1, each mirrored, shifted and brightened by its own draw.

    Mirrored left and right with probability one half; shifted by up to an eighth of the side, with black
    (-1) coming in; brightened by -.25 to .25. Gradients pass to x. Give real and generated images alike to
    it: then the generator learns the images themselves and not their changed versions. Values may leave -1 to
    1. The paper's policies have saturation, contrast and cutout besides.
    """
    count, _, height, width = x.shape
    drawn = torch.rand(4, count, generator=generator, device=generator.device).to(x)
    x = torch.where((drawn[0] < 0.5).view(-1, 1, 1, 1), x.flip(-1), x)
    x = x + LARGEST_BRIGHTNESS * (drawn[1] - 0.5).view(-1, 1, 1, 1)
    rows, columns = (_shifted(side, share) for side, share in ((height, drawn[2]), (width, drawn[3])))
    most = int(max(height, width) * LARGEST_SHIFT + 0.5)
    padded = functional.pad(x, (most, most, most, most), value=-1.0)
    image = torch.arange(count, device=x.device).view(-1, 1, 1)
    picked = padded.permute(0, 2, 3, 1)[image, rows[:, :, None] + most, columns[:, None, :] + most]
    return picked.permute(0, 3, 1, 2)


def _shifted(side: int, share: Tensor) -> Tensor:
    """Source positions (N, side) of all pixels of a row, for shifts drawn as shares 0 to 1 (N,)."""
    most = int(side * LARGEST_SHIFT + 0.5)
    shift = (share * (2 * most + 1)).long().clamp(max=2 * most) - most
    return torch.arange(side, device=share.device) + shift[:, None]
