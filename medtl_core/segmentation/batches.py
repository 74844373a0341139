"""Random batches of images, with their masks where there are any: crops and flips, by a seed."""

from collections.abc import Iterator

import torch
from torch import Tensor

from medtl_core.errors import MedtlError
from medtl_core.segmentation.cases import SegmentationCases, UnlabelledImages, intensities

TARGET_STREAM = 1_000_003  # added to the seed: source batches are the same with and without a target


def labelled_batches(
    cases: SegmentationCases, batch_size: int, crop: tuple[int, ...] | None, seed: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless batches of inputs float32 (n, C, *crop) in -1 to 1 and masks int64 (n, *crop).

    Epoch after epoch in random order, each case cropped at a random place and mirrored along its last axis in
    half of the cases. Masks move with their images. Raises MedtlError for a crop that the images cannot hold.
    """
    _require_crop(cases.images, crop, cases.name)
    generator = torch.Generator().manual_seed(seed)
    joined = torch.cat([cases.images, cases.masks.unsqueeze(1)], dim=1)
    for pixels in _pixels(joined, batch_size, crop, generator):
        yield intensities(pixels[:, :-1]), pixels[:, -1].long()


def unlabelled_batches(
    images: UnlabelledImages, batch_size: int, crop: tuple[int, ...] | None, seed: int
) -> Iterator[Tensor]:
    """Endless batches of inputs, drawn like `labelled_batches` from a stream of their own."""
    _require_crop(images.images, crop, images.name)
    generator = torch.Generator().manual_seed(seed + TARGET_STREAM)
    for pixels in _pixels(images.images, batch_size, crop, generator):
        yield intensities(pixels)


def _pixels(
    images: Tensor, batch_size: int, crop: tuple[int, ...] | None, generator: torch.Generator
) -> Iterator[Tensor]:
    waiting = torch.empty(0, dtype=torch.int64)
    while True:
        while len(waiting) < batch_size:
            waiting = torch.cat([waiting, torch.randperm(len(images), generator=generator)])
        index, waiting = waiting[:batch_size], waiting[batch_size:]
        yield torch.stack([_cropped(images[i], crop, generator) for i in index])


def _cropped(image: Tensor, crop: tuple[int, ...] | None, generator: torch.Generator) -> Tensor:
    """A random crop of one image (C, *size), mirrored at random."""
    for axis, side in enumerate(crop or (), start=1):
        first = int(torch.randint(image.shape[axis] - side + 1, (), generator=generator))
        image = image.narrow(axis, first, side)
    return image.flip(-1) if torch.rand((), generator=generator) < 0.5 else image


def _require_crop(images: Tensor, crop: tuple[int, ...] | None, name: str) -> None:
    size = tuple(images.shape[2:])
    if crop is not None and (
        len(crop) != len(size) or any(not 1 <= c <= s for c, s in zip(crop, size, strict=True))
    ):
        raise MedtlError(
            f"{name}: crop {crop} of images {size}, expected one side for each axis, none larger"
        )
