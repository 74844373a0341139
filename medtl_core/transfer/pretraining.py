"""Pretraining on medical images: a source of weights that is not ImageNet."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from medtl_core.backbones import zoo
from medtl_core.backbones.zoo import Backbone
from medtl_core.data.archives.archive import Archive
from medtl_core.data.measurable import require_measurable
from medtl_core.data.sources import registry
from medtl_core.data.splits import nested_subset
from medtl_core.data.tensors import DeviceDataset, Normalisation, replicate_grey
from medtl_core.errors import MedtlError
from medtl_core.study.seeding import seed_everything, select_device
from medtl_core.training import policies
from medtl_core.training.loop import FitConfig, fit


@dataclass(frozen=True)
class Source:
    """Where source images come from: an archive by name, and one of its domains ("": all of it)."""

    dataset: str
    domain: str = ""

    @classmethod
    def parse(cls, text: str) -> "Source":
        """ "chest_xray_64:nih" is domain `nih` of `chest_xray_64`."""
        dataset, _, domain = text.partition(":")
        return cls(dataset, domain)


def pretrain(
    backbone: str,
    sources: Sequence[Source],
    *,
    image_size: int,
    steps: int,
    batch_size: int = 32,
    learning_rate: float = 1e-3,
    seed: int = 0,
    progress: bool = False,
) -> tuple[Backbone, dict[str, Any]]:
    """Train `backbone` from random weights on the training and validation parts of `sources`.

    Several sources are pooled: their classes stand side by side, so that the network also learns to tell the
    sets apart. Inputs are normalised with the mean and standard deviation of the source images; grey images
    become three equal channels. Where `steps` batches hold fewer images than there are, a stratified part of
    the images is used. The weights are those of the epoch with the highest validation AUROC. No test image
    of a source is used, so that a source may serve as a target elsewhere.

    Returns the backbone and its card: sources with checksums, classes, images, steps, seed, and AUROC on the
    validation images. Raises MedtlError for no source, one that appears twice, or one that cannot
    be loaded or measured.
    """
    if not sources or len(set(sources)) < len(sources):
        names = ", ".join(source.dataset for source in sources) or "none"
        raise MedtlError(f"pretrain: sources are {names}, expected at least one, and each once")
    seed_everything(seed)
    device = select_device()
    train, val, classes = _pooled(sources, image_size, device)
    seen = steps * batch_size
    if seen < len(train):
        train = train.select(nested_subset(train.labels.cpu().numpy(), np.arange(len(train)), seen, seed))
    built = zoo.build(backbone, num_classes=len(classes), pretrained=False, seed=seed)
    normalisation = _normalisation_of(train)
    epochs = math.ceil(steps / math.ceil(len(train) / batch_size))
    config = FitConfig(epochs=epochs, batch_size=batch_size, learning_rate=learning_rate)
    result = fit(
        built.network, policies.SCRATCH, train, val, normalisation, config, seed=seed, progress=progress
    )
    card = {
        "architecture": zoo.architecture_of(backbone),
        "sources": [
            {"dataset": s.dataset, "domain": s.domain, "sha256": registry.checksum(s.dataset)}
            for s in sources
        ],
        "classes": classes,
        "training_images": len(train),
        "image_size": image_size,
        "steps": result.steps,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "seed": seed,
        "val_auroc": result.best["val_auroc"],
    }
    return Backbone(backbone, built.network, normalisation, f"pretrained on {_in_words(sources)}"), card


def _normalisation_of(images: DeviceDataset) -> Normalisation:
    """Mean and standard deviation of each of the three channels that a network sees."""
    pixels = images.images.float().div_(255)
    channels = [pixels[:, c] for c in range(pixels.shape[1])] * (3 // pixels.shape[1])
    return Normalisation(
        tuple(c.mean().item() for c in channels), tuple(c.std().clamp_min(1e-6).item() for c in channels)
    )


def _in_words(sources: Sequence[Source]) -> str:
    return " and ".join(f"{s.dataset} ({s.domain})" if s.domain else s.dataset for s in sources)


def _pooled(
    sources: Sequence[Source], image_size: int, device: torch.device
) -> tuple[DeviceDataset, DeviceDataset, list[str]]:
    """Training and validation images of all sources, with their classes one after another."""
    parts: list[tuple[DeviceDataset, DeviceDataset]] = []
    classes: list[str] = []
    for source in sources:
        archive = registry.load(source.dataset)
        divided = require_measurable(archive, domain=source.domain or None)
        pair = (
            _relabelled(archive, index, len(classes), image_size, device)
            for index in (divided.train, divided.val)
        )
        parts.append((next(pair), next(pair)))
        classes += [f"{source.dataset}: {name}" for name in archive.class_names]
    train, val = (_joined([pair[i] for pair in parts]) for i in (0, 1))
    return train, val, classes


def _relabelled(
    archive: Archive, index: np.ndarray, offset: int, size: int, device: torch.device
) -> DeviceDataset:
    images = DeviceDataset.from_archive(archive, index, device, size=size)
    return DeviceDataset(images.images, images.labels + offset)


def _joined(parts: list[DeviceDataset]) -> DeviceDataset:
    in_colour = any(part.images.shape[1] == 3 for part in parts)
    images = [
        replicate_grey(part.images) if in_colour and part.images.shape[1] == 1 else part.images
        for part in parts
    ]
    return DeviceDataset(torch.cat(images), torch.cat([part.labels for part in parts]))
