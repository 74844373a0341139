"""Other transforms: mixup, CutMix, Cutout and patch swap, on images (N, C, H, W) with soft targets (N, K).

`applied` (N,) says which images take part. Each function gives images, targets and masks back. Where an
image takes from another one, the other one is its partner under a random permutation of the batch.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from medtl_core.augmentation.sampling import uniform, where_applied

MIXUP_ALPHA = 0.4  # Zhang et al. 2018 take .1 to .4
CUTMIX_ALPHA = 1.0  # Yun et al. 2019
LARGEST_CUTOUT = 0.5  # side of the square, as a share of the smaller side of the image
LARGEST_PATCH = 0.25  # side of a swapped patch, as a share of the smaller side of the image

Mixed = tuple[Tensor, Tensor, Tensor | None]


def mixup(
    images: Tensor,
    targets: Tensor,
    masks: Tensor | None,
    applied: Tensor,
    strength: float,
    generator: torch.Generator,
) -> Mixed:
    """Weighted means of two images and of their targets (Zhang et al. 2018, section 2).

    The weight of an image itself is the larger of w and 1 - w, w from Beta(a, a) with a = .4 times
    `strength`: the smaller the strength, the less is mixed. No mask fits a mixed image, so that a policy
    refuses masks here.
    """
    share = _own_share(len(images), MIXUP_ALPHA * strength, images, generator)
    partner = _partners(images, generator)
    weight = torch.where(applied, share, 1.0)
    mixed = _blend(images, images[partner], weight)
    return where_applied(applied, mixed, images), _blend(targets, targets[partner], weight), masks


def cutmix(
    images: Tensor,
    targets: Tensor,
    masks: Tensor | None,
    applied: Tensor,
    strength: float,
    generator: torch.Generator,
) -> Mixed:
    """A rectangle of another image is pasted in (Yun et al. 2019, equations 1 and 2).

    The rectangle has the image's proportions and the share 1 - w of its area, w as in `mixup` with a =
    `strength`; its centre lies anywhere and what sticks out is cut off. The targets are weighted by the
    share of pixels that were really pasted. The mask's rectangle is pasted with the image's.
    """
    n, _, height, width = images.shape
    side = (1 - _own_share(n, CUTMIX_ALPHA * strength, images, generator)).sqrt()
    pasted = _box(images, side * height, side * width, generator) & applied[:, None, None]
    partner = _partners(images, generator)
    weight = 1 - pasted.flatten(1).to(images.dtype).mean(1)
    images = torch.where(pasted[:, None], images[partner], images)
    if masks is not None:
        masks = torch.where(pasted[:, None], masks[partner], masks)
    return images, _blend(targets, targets[partner], weight), masks


def cutout(
    images: Tensor,
    targets: Tensor,
    masks: Tensor | None,
    applied: Tensor,
    strength: float,
    generator: torch.Generator,
) -> Mixed:
    """A square takes the mean of its image's channel (DeVries & Taylor 2017); masks stay as they are.

    The side is half of the image's smaller side times `strength`; the centre lies anywhere, and what sticks
    out is cut off. The paper sets normalised images to zero, which is the mean of the data.
    """
    side = LARGEST_CUTOUT * strength * min(images.shape[-2:])
    sides = images.new_full((len(images),), side)
    hidden = _box(images, sides, sides, generator) & applied[:, None, None]
    return torch.where(hidden[:, None], images.mean((-2, -1), keepdim=True), images), targets, masks


def patch_swap(
    images: Tensor,
    targets: Tensor,
    masks: Tensor | None,
    applied: Tensor,
    strength: float,
    generator: torch.Generator,
) -> Mixed:
    """Two square patches of one image change places (Chen et al. 2019), and those of its mask with them.

    The side is a quarter of the image's smaller side times `strength`. One patch lies in one half of the
    image and the other one in the other half, left and right or top and bottom, so that they never overlap.
    """
    n, _, height, width = images.shape
    side = round(LARGEST_PATCH * strength * min(height, width))
    if side == 0:
        return images, targets, masks
    sideways = uniform(n, 0, 1, images, generator) < 0.5
    first = _corners(n, (height, width), side, sideways, 0, images, generator)
    second = _corners(n, (height, width), side, sideways, 1, images, generator)
    rows = torch.arange(height, device=images.device)[None, :, None]
    columns = torch.arange(width, device=images.device)[None, None, :]
    source = (rows * width + columns).expand(n, -1, -1).clone()
    for (top, left), (other_top, other_left) in ((first, second), (second, first)):
        inside = (rows >= top) & (rows < top + side) & (columns >= left) & (columns < left + side)
        shift = (other_top - top) * width + (other_left - left)
        source = torch.where(inside & applied[:, None, None], source + shift, source)

    def swapped(x: Tensor) -> Tensor:
        index = source.flatten(1)[:, None].expand(-1, x.shape[1], -1)
        return x.flatten(2).gather(2, index).view_as(x)

    return swapped(images), targets, None if masks is None else swapped(masks)


def _own_share(n: int, alpha: float, like: Tensor, generator: torch.Generator) -> Tensor:
    """max(w, 1 - w), w from Beta(alpha, alpha): (n,). NumPy draws, since torch takes no generator."""
    seed = int(torch.randint(2**31, (1,), generator=generator, device=generator.device))
    drawn = np.random.default_rng(seed).beta(alpha, alpha, n)
    return torch.from_numpy(np.maximum(drawn, 1 - drawn)).to(like.device, like.dtype)


def _partners(images: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randperm(len(images), generator=generator, device=generator.device).to(images.device)


def _blend(own: Tensor, other: Tensor, weight: Tensor) -> Tensor:
    weight = weight.view(-1, *[1] * (own.ndim - 1))
    return weight * own + (1 - weight) * other


def _box(images: Tensor, heights: Tensor, widths: Tensor, generator: torch.Generator) -> Tensor:
    """True inside a rectangle of each image (N, H, W): centre anywhere, cut off at the border."""
    inside = []
    for size, extent in zip(images.shape[-2:], (heights, widths), strict=True):
        centre = uniform(len(images), 0, size, images, generator)
        start, stop = (centre - extent / 2).round(), (centre + extent / 2).round()
        position = torch.arange(size, device=images.device)
        inside.append((position >= start[:, None]) & (position < stop[:, None]))
    return inside[0][:, :, None] & inside[1][:, None, :]


def _corners(
    n: int,
    size: tuple[int, int],
    side: int,
    sideways: Tensor,
    half: int,
    like: Tensor,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Top and left (n, 1, 1) of patches in the `half` (0 or 1) of the image, left/right where `sideways`."""
    corners = []
    for length, split in zip(size, (~sideways, sideways), strict=True):
        low = torch.where(split, half * (length // 2), 0)
        room = torch.where(split, length // 2, length) - side + 1
        place = low + (uniform(n, 0, 1, like, generator) * room).long().minimum(room - 1)
        corners.append(place[:, None, None])
    return corners[0], corners[1]


Mixing = Callable[[Tensor, Tensor, Tensor | None, Tensor, float, torch.Generator], Mixed]
MIXING: dict[str, Mixing] = {
    "mixup": mixup,
    "cutmix": cutmix,
    "cutout": cutout,
    "patch_swap": patch_swap,
}
