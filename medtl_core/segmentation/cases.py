"""What is segmented: images with masks, and images without them.

The two are different types. What adapts to a target domain takes `UnlabelledImages`, which have no field for
masks: a method cannot look at labels that it was not given.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from medtl_core.data.archives.archive import Archive
from medtl_core.errors import MedtlError


def _require_images(images: Tensor, name: str) -> None:
    if images.dtype != torch.uint8 or images.ndim not in (4, 5):
        raise MedtlError(
            f"{name}: images are {images.dtype} of shape {tuple(images.shape)}, expected uint8 (N, C, H, W) "
            "or (N, C, D, H, W)"
        )
    if len(images) == 0:
        raise MedtlError(f"{name}: no image, expected at least 1; check the selection of cases")


@dataclass(frozen=True)
class UnlabelledImages:
    """Images uint8 (N, C, H, W), or volumes (N, C, D, H, W), of one domain, without masks."""

    name: str
    images: Tensor

    def __post_init__(self) -> None:
        _require_images(self.images, self.name)

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class SegmentationCases:
    """Images as in `UnlabelledImages`, and masks uint8 (N, H, W) or (N, D, H, W).

    A mask's value m is the class `class_names[m]`, 0 is the background. Raises MedtlError for masks of
    another size than the images and for values without a name.
    """

    name: str
    images: Tensor
    masks: Tensor
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        _require_images(self.images, self.name)
        expected = (len(self.images), *self.images.shape[2:])
        if self.masks.dtype != torch.uint8 or tuple(self.masks.shape) != expected:
            raise MedtlError(
                f"{self.name}: masks are {self.masks.dtype} of shape {tuple(self.masks.shape)}, expected "
                f"uint8 {expected}, one value for each pixel of the images"
            )
        if len(self.class_names) < 2 or int(self.masks.max()) >= len(self.class_names):
            raise MedtlError(
                f"{self.name}: a mask value is {int(self.masks.max())}, but the names are "
                f"{', '.join(self.class_names)}; expected the background and one name for each value"
            )

    def __len__(self) -> int:
        return len(self.images)

    @property
    def n_classes(self) -> int:
        """Number of classes, background included."""
        return len(self.class_names)

    def select(self, index: np.ndarray) -> SegmentationCases:
        """The cases of `index` (M,), in its order."""
        chosen = torch.as_tensor(index, dtype=torch.int64)
        return SegmentationCases(self.name, self.images[chosen], self.masks[chosen], self.class_names)

    def without_masks(self) -> UnlabelledImages:
        """The images alone: all that a method may see of its target."""
        return UnlabelledImages(self.name, self.images)


def domain_cases(archive: Archive, domain: str, *, grey: bool = False, shrink: int = 1) -> SegmentationCases:
    """The cases of one domain of an archive with masks.

    grey: replace RGB by its mean. shrink: keep the mean of blocks of `shrink` x `shrink` px, and the mask at
    the first pixel of each block. Raises MedtlError for an archive without masks or domains, for a domain
    that it lacks, and for a size that `shrink` does not divide.
    """
    if archive.masks is None:
        raise MedtlError(f"{archive.name}: no masks, expected an archive with masks to segment")
    if archive.domains is None:
        raise MedtlError(f"{archive.name}: no domains, expected one name for each image")
    index = np.flatnonzero(archive.domains == domain)
    if len(index) == 0:
        names = ", ".join(sorted(set(archive.domains.tolist())))
        raise MedtlError(f"{archive.name}: no image of domain {domain!r}, expected one of {names}")
    if archive.height % shrink or archive.width % shrink:
        raise MedtlError(
            f"{archive.name}: images of {archive.height} x {archive.width} px, shrink is {shrink}; "
            "expected a divisor of both"
        )
    pixels = torch.from_numpy(np.ascontiguousarray(archive.images[index]))
    images = pixels.unsqueeze(1) if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2)
    means = images.float()
    if grey:
        means = means.mean(dim=1, keepdim=True)
    if shrink > 1:
        means = torch.nn.functional.avg_pool2d(means, shrink)
    masks = torch.from_numpy(np.ascontiguousarray(archive.masks[index][:, ::shrink, ::shrink]))
    return SegmentationCases(
        f"{archive.name}, {domain}", means.round().to(torch.uint8).contiguous(), masks, archive.mask_names
    )


def volume_cases(
    name: str, volumes: np.ndarray, masks: np.ndarray, class_names: tuple[str, ...]
) -> SegmentationCases:
    """Cases from uint8 volumes and masks, both (N, D, H, W), of one channel."""
    images = torch.from_numpy(np.ascontiguousarray(volumes)).unsqueeze(1)
    return SegmentationCases(name, images, torch.from_numpy(np.ascontiguousarray(masks)), class_names)


def intensities(images: Tensor) -> Tensor:
    """uint8 images as network inputs, float32 in -1 to 1."""
    return images.float() / 127.5 - 1


def require_two_domains(source: SegmentationCases, target: UnlabelledImages, method: str) -> None:
    """Raise MedtlError unless source and target are two domains whose images fit one network."""
    if source.name == target.name:
        raise MedtlError(f"{method}: source and target are both {source.name!r}, expected two domains")
    if source.images.ndim != target.images.ndim or source.images.shape[1] != target.images.shape[1]:
        raise MedtlError(
            f"{method}: source images are {tuple(source.images.shape[1:])}, target images "
            f"{tuple(target.images.shape[1:])}; expected the same number of channels and axes"
        )
