"""How much of the bare step rate the training loop keeps, measured in one run."""

import numpy as np
import torch
from torch.nn import functional

from medtl_core.backbones.zoo import build
from medtl_core.data.tensors import DeviceDataset
from medtl_core.paired_timing import median_seconds
from medtl_core.study.seeding import seeded
from medtl_core.training.loop import FitConfig, fit
from medtl_core.training.policies import SCRATCH

NETWORKS = ("resnet18", "tf_efficientnet_lite0")
SIZE = 64  # pixels
BATCH = 32
TARGET = 0.9


def run(rounds: int = 5, steps: int = 16) -> list[dict[str, str | int | float]]:
    """Step rate of `fit` on the CPU as a share of the bare rate, for each of `NETWORKS` at 64 pixels.

    Bare is forward, backward and update on one resident batch with the same network and optimiser. An epoch
    of `fit` (drawing, normalising, bookkeeping, a validation of two images and keeping the best weights
    included) and as many bare steps take turns; `ratio` is that of their medians over `rounds`. Also given:
    images per second of both, threads, and the ratio to reach (`target`).
    """
    with seeded(0):
        return [_measure(name, rounds, steps) for name in NETWORKS]


def _measure(name: str, rounds: int, steps: int) -> dict[str, str | int | float]:
    backbone = build(name, num_classes=2, pretrained=False, seed=0)
    rng = np.random.default_rng(0)
    n = steps * BATCH
    train = DeviceDataset(
        torch.from_numpy(rng.integers(0, 256, (n, 3, SIZE, SIZE), np.uint8)), torch.arange(n) % 2
    )
    val = train.select(torch.arange(2))
    config = FitConfig(epochs=1, batch_size=BATCH)
    network = backbone.network
    optimiser = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, fused=True)
    x = train.inputs(torch.arange(BATCH), backbone.normalisation)
    labels = train.labels[:BATCH]

    def loop() -> None:
        fit(network, SCRATCH, train, val, backbone.normalisation, config, seed=0)

    def bare() -> None:
        network.train()
        for _ in range(steps):
            optimiser.zero_grad(set_to_none=True)
            functional.cross_entropy(network(x), labels).backward()
            optimiser.step()

    seconds = median_seconds({"bare": bare, "loop": loop}, rounds)
    bare_seconds, loop_seconds = seconds["bare"], seconds["loop"]
    return {
        "name": f"fit {name} {SIZE} px",
        "ratio": bare_seconds / loop_seconds,
        "target": TARGET,
        "images_per_second": n / loop_seconds,
        "bare_images_per_second": n / bare_seconds,
        "batch_size": BATCH,
        "threads": torch.get_num_threads(),
        "device": "cpu",
    }
