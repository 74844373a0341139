"""What augmentation costs, against a training step and against albumentations, measured in one run."""

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional

from medtl_core.augmentation.per_image import albumentations_pipeline
from medtl_core.augmentation.policy import AugmentationPolicy
from medtl_core.augmentation.transforms import transform
from medtl_core.backbones.zoo import build
from medtl_core.data.tensors import normalise
from medtl_core.paired_timing import median_seconds
from medtl_core.study.seeding import seeded

SIZE = 64  # pixels
BATCH = 32
BASIC = AugmentationPolicy(
    tuple(
        transform(name)
        for name in ("flip", "rotation", "scale", "translation", "gaussian_noise", "intensity")
    )
)
ELASTIC = AugmentationPolicy((transform("elastic"),))
TARGETS = {"basic": 0.15, "elastic": 0.4, "albumentations": 1.0}  # at most


def run(rounds: int = 5) -> list[dict[str, str | int | float]]:
    """Time of augmentation on the CPU, for a batch of 32 colour images of 64 pixels.

    The rows of basic and elastic give it as a share of a bare training step of ResNet-18 (forward, backward,
    update). The last row gives the time of the basic policy in a batch, from uint8 images to float ones, as a
    share of the time of albumentations for one image after the other, collation included. The jobs take
    turns; `ratio` is that of their medians over `rounds`, and `target` the ratio that it should not exceed.
    """
    with seeded(0):
        medians = median_seconds(_jobs(), rounds)
    step, single = "of a training step", "of the time of albumentations"
    return [
        _row("augmentation basic", medians["basic"], medians["step"], TARGETS["basic"], step),
        _row("augmentation elastic", medians["elastic"], medians["step"], TARGETS["elastic"], step),
        _row("augmentation batch", medians["batch"], medians["images"], TARGETS["albumentations"], single),
    ]


def _row(name: str, seconds: float, reference: float, target: float, of: str) -> dict[str, str | int | float]:
    return {
        "name": f"{name} {SIZE} px",
        "ratio": seconds / reference,
        "of": of,
        "cost": True,
        "target": target,
        "images_per_second": BATCH / seconds,
        "reference_images_per_second": BATCH / reference,
        "batch_size": BATCH,
        "threads": torch.get_num_threads(),
        "device": "cpu",
    }


def _jobs() -> dict[str, Callable[[], object]]:
    backbone = build("resnet18", num_classes=2, pretrained=False, seed=0)
    network = backbone.network.train().to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(network.parameters(), fused=True)
    pixels = np.random.default_rng(0).integers(0, 256, (BATCH, SIZE, SIZE, 3), np.uint8)
    stored = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
    images = stored.float() / 255
    labels = torch.arange(BATCH) % 2
    targets = functional.one_hot(labels, 2).float()
    x = normalise(images, backbone.normalisation).contiguous(memory_format=torch.channels_last)
    generator = torch.Generator().manual_seed(0)
    one = albumentations_pipeline(BASIC)

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        functional.cross_entropy(network(x), labels).backward()
        optimiser.step()

    def per_image() -> torch.Tensor:
        batch = np.stack([one(image)[0] for image in pixels])
        return torch.from_numpy(batch).permute(0, 3, 1, 2).float() / 255

    return {
        "step": step,
        "basic": lambda: BASIC.batch(images, targets, generator),
        "elastic": lambda: ELASTIC.batch(images, targets, generator),
        "batch": lambda: BASIC.batch(stored.float() / 255, targets, generator),
        "images": per_image,
    }
