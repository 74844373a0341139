"""The same policies for one image at a time on the CPU, through albumentations (Buslaev et al. 2020)."""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medtl_core.augmentation import affine, deformable, intensity
from medtl_core.augmentation.policy import AugmentationPolicy
from medtl_core.augmentation.transforms import Transform
from medtl_core.errors import MedtlError

Image = NDArray[np.uint8]


class AlbumentationsPipeline:
    """A callable `(image, mask=None)` that draws what the policy draws; made by `albumentations_pipeline`."""

    def __init__(self, policy: AugmentationPolicy, seed: int) -> None:
        self.policy = policy
        self.seed = seed
        self._library = _albumentations()
        if missing := [t.name for t in policy.transforms if t.name not in _BUILDERS]:
            raise MedtlError(
                f"albumentations: it has no {missing[0]}, expected some of {', '.join(_BUILDERS)}; "
                "apply the policy to batches instead"
            )
        self._composed: dict[tuple[int, int], Any] = {}

    def __call__(self, image: Image, mask: Image | None = None) -> tuple[Image, Image | None]:
        """The image uint8 (H, W) or (H, W, C) and its mask (H, W) under a draw of their own."""
        if image.dtype != np.uint8 or image.ndim not in (2, 3):
            raise MedtlError(
                f"albumentations: image {image.dtype} {image.shape}, expected uint8 (H, W) or (H, W, C)"
            )
        height, width = image.shape[:2]
        pipeline = self._composed.get((height, width))
        if pipeline is None:
            pipeline = self._composed[height, width] = self._compose(height, width)
        given = {"image": image} if mask is None else {"image": image, "mask": mask}
        found = pipeline(**given)
        return found["image"], found.get("mask")

    def _compose(self, height: int, width: int) -> Any:
        active = [t for t in self.policy.transforms if t.strength > 0]
        steps = [_BUILDERS[t.name](self._library, t, (height, width)) for t in active]
        return self._library.Compose(steps, seed=self.seed)


def albumentations_pipeline(policy: AugmentationPolicy, seed: int = 0) -> AlbumentationsPipeline:
    """The policy for one uint8 image (and mask) at a time: the same transforms from the same distributions.

    The draws differ from those of a batch; `seed` decides them. Grey values are rounded after each step, and
    each geometric step resamples by itself. Translations are whole pixels, of the same variance, and so are
    windows of crops. Elastic transforms are about a quarter rougher near the border, where albumentations
    repeats the noise of the last pixel.

    Raises MedtlError where albumentations is not installed, naming the extra, and for transforms that it does
    not have in this form: speckle_noise, poisson_noise, bspline, those of the classes other and deep.
    """
    return AlbumentationsPipeline(policy, seed)


def _albumentations() -> Any:
    try:
        return import_module("albumentations")
    except ImportError as error:
        raise MedtlError(
            'albumentations is not installed, expected version 2.0.8; pip install "medtl[augmentation]"'
        ) from error


def _flip(library: Any, t: Transform, size: tuple[int, int]) -> Any:
    return library.HorizontalFlip(p=t.probability * t.strength / 2)


def _rotation(library: Any, t: Transform, size: tuple[int, int]) -> Any:
    limit = affine.LARGEST_ROTATION * t.strength
    return _affine(library, t, rotate=(-limit, limit))


def _scale(library: Any, t: Transform, size: tuple[int, int]) -> Any:
    limit = affine.LARGEST_SCALE * t.strength
    return _affine(library, t, scale=(1 - limit, 1 + limit), keep_ratio=True)


def _translation(library: Any, t: Transform, size: tuple[int, int]) -> Any:
    pixels = {}
    for axis, side in zip("yx", size, strict=True):
        limit = affine.LARGEST_TRANSLATION * t.strength * side
        # Whole pixels -k to k have the variance k (k + 1) / 3, an even draw up to the limit has limit^2 / 3.
        whole = round((math.sqrt(1 + 4 * limit**2) - 1) / 2)
        pixels[axis] = (-whole, whole)
    return _affine(library, t, translate_px=pixels)


def _affine(library: Any, t: Transform, **limits: Any) -> Any:
    return library.Affine(**limits, border_mode=_REPLICATE, p=t.probability)


def _crop(library: Any, t: Transform, size: tuple[int, int]) -> Any:
    ratio = size[1] / size[0]
    smallest = 1 - (1 - affine.SMALLEST_CROP) * t.strength
    return library.RandomResizedCrop(size, scale=(smallest, 1), ratio=(ratio, ratio), p=t.probability)


def _gaussian_noise(library: Any, t: Transform, size: tuple[int, int]) -> Any:
    return library.GaussNoise(std_range=(0, intensity.LARGEST_GAUSSIAN_NOISE * t.strength), p=t.probability)


def _blur(library: Any, t: Transform, size: tuple[int, int]) -> Any:
    limit = intensity.LARGEST_BLUR * t.strength * min(size)
    return library.GaussianBlur(blur_limit=0, sigma_limit=(0, limit), p=t.probability)


def _intensity(library: Any, t: Transform, size: tuple[int, int]) -> Any:
    limit = intensity.LARGEST_BRIGHTNESS * t.strength
    return library.RandomBrightnessContrast((-limit, limit), (0, 0), p=t.probability)


def _gamma(library: Any, t: Transform, size: tuple[int, int]) -> Any:
    limit = intensity.LARGEST_GAMMA * t.strength
    return library.RandomGamma((100 * (1 - limit), 100 * (1 + limit)), p=t.probability)


def _contrast(library: Any, t: Transform, size: tuple[int, int]) -> Any:
    limit = intensity.LARGEST_CONTRAST * t.strength
    one = (1.0, 1.0)
    return library.ColorJitter(one, (1 - limit, 1 + limit), one, (0.0, 0.0), p=t.probability)


def _elastic(library: Any, t: Transform, size: tuple[int, int]) -> Any:
    side = min(size)
    return library.ElasticTransform(
        alpha=deformable.ELASTIC_ALPHA * t.strength * side**2,
        sigma=deformable.ELASTIC_SIGMA * side,
        noise_distribution="uniform",
        border_mode=_REPLICATE,
        p=t.probability,
    )


_REPLICATE = 1  # cv2.BORDER_REPLICATE: the border repeats, as in a batch
_BUILDERS: dict[str, Callable[[Any, Transform, tuple[int, int]], Any]] = {
    "flip": _flip,
    "rotation": _rotation,
    "scale": _scale,
    "translation": _translation,
    "crop": _crop,
    "gaussian_noise": _gaussian_noise,
    "blur": _blur,
    "intensity": _intensity,
    "gamma": _gamma,
    "contrast": _contrast,
    "elastic": _elastic,
}
