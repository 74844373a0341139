"""How much faster Grad-CAM is on a batch than image by image, measured in one run."""

import statistics
import time

import torch

from medtl_core.backbones.zoo import build
from medtl_core.explanation.explaining import explain

NETWORKS = ("resnet18", "tf_efficientnet_lite0")
IMAGES = 256
SIZE = 64  # pixels
TARGET = 10.0


def run(rounds: int = 3, images: int = IMAGES, singles: int = 16) -> list[dict[str, str | int | float]]:
    """Seconds an image of `explain(..., "grad_cam")`, one image a call, over those of one call for all.

    `singles` images stand for those that come one a call; both choose the layer at each call. `ratio` is
    that of the medians over `rounds`, in which both take turns, on the CPU. Also given: images per second of
    both, threads, and the ratio to reach (`target`).
    """
    return [_measure(name, rounds, images, singles) for name in NETWORKS]


def _measure(name: str, rounds: int, images: int, singles: int) -> dict[str, str | int | float]:
    network = build(name, num_classes=2, pretrained=False, seed=0).network
    x = torch.randn(images, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    x = x.contiguous(memory_format=torch.channels_last)
    batch, single = [], []
    explain(network, x[:2], 1, "grad_cam")  # warms up
    for _ in range(rounds):
        started = time.perf_counter()
        explain(network, x, 1, "grad_cam", batch_size=images)
        middle = time.perf_counter()
        for image in x[:singles].split(1):
            explain(network, image, 1, "grad_cam")
        batch.append((middle - started) / images)
        single.append((time.perf_counter() - middle) / singles)
    together, one_by_one = statistics.median(batch), statistics.median(single)
    return {
        "name": f"grad_cam {name} {SIZE} px",
        "ratio": one_by_one / together,
        "of": "times as fast in a batch as one by one",
        "target": TARGET,
        "images_per_second": 1 / together,
        "one_by_one_images_per_second": 1 / one_by_one,
        "batch_size": images,
        "threads": torch.get_num_threads(),
        "device": "cpu",
    }
