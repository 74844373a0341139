"""An augmentation policy: transforms in their order, applied to whole batches on the device."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from medtl_core.augmentation.affine import AFFINE
from medtl_core.augmentation.catalogue import describe
from medtl_core.augmentation.deformable import DEFORMABLE
from medtl_core.augmentation.generated import Generator, generated
from medtl_core.augmentation.intensity import INTENSITY
from medtl_core.augmentation.mixing import MIXING
from medtl_core.augmentation.sampling import (
    affine_grid,
    displacement_grid,
    identity_matrices,
    sample,
    sample_masks,
    uniform,
    where_applied,
)
from medtl_core.augmentation.transforms import Transform
from medtl_core.errors import MedtlError


@dataclass(frozen=True)
class Augmented:
    """A batch after augmentation: images, soft targets (N, K) that sum to 1, and masks if some were given."""

    images: Tensor
    targets: Tensor
    masks: Tensor | None = None


@dataclass(frozen=True)
class AugmentationPolicy:
    """Transforms that follow each other. Its `repr` is complete, so that a trial can be keyed by it.

    Neighbours among flip, rotation, scale, translation and crop are multiplied, and the images resampled
    once.
    """

    transforms: tuple[Transform, ...] = ()

    @classmethod
    def from_dict(
        cls, entries: Iterable[Mapping[str, Any]], source: Generator | None = None
    ) -> AugmentationPolicy:
        """The policy of entries such as `{"name": "rotation", "strength": .5, "probability": 1}`.

        strength is .5 and probability 1 where they are left out. source: the generator of `generated`.
        Raises MedtlError naming the entry for a field, a name or a value that is not valid.
        """
        if isinstance(entries, str | Mapping) or not isinstance(entries, Iterable):
            raise MedtlError(
                f"augmentation policy: found {type(entries).__name__}, expected a list of entries"
            )
        return cls(tuple(_transform(number, entry, source) for number, entry in enumerate(entries, start=1)))

    @classmethod
    def from_yaml(cls, text: str | Path, source: Generator | None = None) -> AugmentationPolicy:
        """The policy of a YAML list, as text or in the file of a Path; errors as in `from_dict`."""
        try:
            content = text.read_text("utf-8") if isinstance(text, Path) else text
            entries = yaml.safe_load(content)
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            reason = " ".join(str(error).split())
            raise MedtlError(f"augmentation policy: {reason}; expected a YAML list of entries") from error
        return cls.from_dict(entries, source)

    def to_dict(self) -> list[dict[str, Any]]:
        """Entries from which `from_dict` makes the same policy (a generator apart)."""
        return [
            {"name": t.name, "strength": t.strength, "probability": t.probability} for t in self.transforms
        ]

    def to_yaml(self) -> str:
        """A YAML list from which `from_yaml` makes the same policy (a generator apart)."""
        return yaml.safe_dump(self.to_dict(), sort_keys=False)

    def scaled(self, factor: float) -> AugmentationPolicy:
        """The same with all strengths times `factor`; MedtlError where one leaves 0 to 1."""
        return AugmentationPolicy(tuple(t.scaled(factor) for t in self.transforms))

    def __call__(
        self, images: Tensor, targets: Tensor, masks: Tensor | None = None, *, generator: torch.Generator
    ) -> Augmented:
        """Every image under its own draw.

        images: float (N, C, H, W), or (N, C, D, H, W) for volumes, in 0 to 1. targets: float (N, K), rows
        that sum to 1. masks: (N, 1, H, W) or (N, 1, D, H, W) of any type; geometric and deformable
        transforms warp them as the images, by nearest neighbour, cutmix and patch_swap move them with the
        pixels, others leave them alone. The inputs stay as they are; the same state of `generator` gives
        the same batch.

        Raises MedtlError for other shapes and types, for transforms that do not take volumes, and for mixup
        and generated together with masks.
        """
        active = [t for t in self.transforms if t.strength > 0]
        _require_batch(images, targets, masks)
        for transform in active:
            _require_possible(transform, images, masks)
        for geometric, run in groupby(active, key=lambda t: t.name in AFFINE):
            if geometric:
                images, masks = _affine(list(run), images, masks, generator)
                continue
            for transform in run:
                images, targets, masks = _apply(transform, images, targets, masks, generator)
        return Augmented(images, targets, masks)

    def batch(self, images: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Images and soft targets: what `fit(..., augmentation=policy.batch)` calls."""
        augmented = self(images, targets, generator=generator)
        return augmented.images, augmented.targets


def _apply(
    transform: Transform, images: Tensor, targets: Tensor, masks: Tensor | None, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor | None]:
    name, strength, n = transform.name, transform.strength, len(images)
    applied = _applied(transform, images, generator)
    if name in INTENSITY:
        changed = INTENSITY[name](images, strength, generator)
        return where_applied(applied, changed, images), targets, masks
    if name in DEFORMABLE:
        field = DEFORMABLE[name](n, images.shape[2:], strength, images, generator)
        warped, moved = _warp(images, masks, displacement_grid(field), applied)
        return warped, targets, moved
    if name in MIXING:
        return MIXING[name](images, targets, masks, applied, strength, generator)
    assert transform.source is not None
    return *generated(images, targets, applied, strength, generator, transform.source), masks


def _affine(
    run: list[Transform], images: Tensor, masks: Tensor | None, generator: torch.Generator
) -> tuple[Tensor, Tensor | None]:
    """One resampling for all transforms of `run`; flips alone move pixels and change no value."""
    n, spatial = len(images), images.shape[2:]
    none = identity_matrices(n, len(spatial), images)
    total, touched = none, torch.zeros(n, dtype=torch.bool, device=images.device)
    for transform in run:
        applied = _applied(transform, images, generator)
        drawn = AFFINE[transform.name](n, spatial, transform.strength, images, generator)
        total = total @ where_applied(applied, drawn, none)
        touched = touched | applied
    if all(transform.name == "flip" for transform in run):
        mirrored = total[:, 0, 0] < 0
        images = where_applied(mirrored, images.flip(-1), images)
        return images, None if masks is None else where_applied(mirrored, masks.flip(-1), masks)
    return _warp(images, masks, affine_grid(total, spatial), touched)


def _warp(
    images: Tensor, masks: Tensor | None, grid: Tensor, applied: Tensor
) -> tuple[Tensor, Tensor | None]:
    warped = where_applied(applied, sample(images, grid), images)
    return warped, None if masks is None else where_applied(applied, sample_masks(masks, grid), masks)


def _applied(transform: Transform, images: Tensor, generator: torch.Generator) -> Tensor:
    """True for the images that take part: (N,)."""
    return uniform(len(images), 0, 1, images, generator) < transform.probability


def _transform(number: int, entry: Any, source: Generator | None) -> Transform:
    place = f"augmentation policy, entry {number}"
    if not isinstance(entry, Mapping) or "name" not in entry:
        raise MedtlError(f"{place}: found {entry!r}, expected name and, if wanted, strength and probability")
    if unknown := [str(key) for key in entry if key not in ("name", "strength", "probability")]:
        raise MedtlError(
            f"{place} ({entry['name']}): unknown field {unknown[0]}, expected name, strength, probability"
        )
    try:
        return Transform(**entry, source=source if entry["name"] == "generated" else None)
    except MedtlError as error:
        raise MedtlError(f"{place}: {error}") from None


def _require_batch(images: Tensor, targets: Tensor, masks: Tensor | None) -> None:
    if images.ndim not in (4, 5) or not images.is_floating_point():
        raise MedtlError(
            f"augmentation: images {images.dtype} {tuple(images.shape)}, "
            "expected float (N, C, H, W) or (N, C, D, H, W)"
        )
    if targets.ndim != 2 or len(targets) != len(images) or not targets.is_floating_point():
        raise MedtlError(
            f"augmentation: targets {targets.dtype} {tuple(targets.shape)} for {len(images)} images, "
            "expected float (N, K), such as one_hot(labels).float()"
        )
    if masks is not None and masks.shape != (len(images), 1, *images.shape[2:]):
        raise MedtlError(
            f"augmentation: masks {tuple(masks.shape)}, expected {(len(images), 1, *images.shape[2:])}"
        )


def _require_possible(transform: Transform, images: Tensor, masks: Tensor | None) -> None:
    entry = describe(transform.name)
    if images.ndim == 5 and not entry.volumes:
        raise MedtlError(
            f"{entry.name}: found volumes {tuple(images.shape)}, expected images (N, C, H, W); leave it out"
        )
    if masks is not None and entry.masks == "refused":
        raise MedtlError(f"{entry.name}: no mask fits its images; leave out the masks or the transform")
