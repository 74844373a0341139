"""A DCGAN for each class, as in Frid-Adar et al. 2018."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from medtl_core.gans.domain_images import require_labels
from medtl_core.gans.loops.gan import GANConfig, train_gan
from medtl_core.gans.loops.snapshot import Snapshot, Watching
from medtl_core.gans.loops.training_run import GANResult
from medtl_core.gans.networks.latent import LatentGenerator

Build = Callable[[int], tuple[LatentGenerator, nn.Module]]


def train_per_class(
    build: Build,
    images: Tensor,
    labels: Tensor,
    config: GANConfig,
    *,
    seed: int,
    on_snapshot: Callable[[int, Snapshot], None] | None = None,
    snapshot_every: int = 100,
    checkpoint: Path | None = None,
    checkpoint_every: int = 500,
) -> list[GANResult[LatentGenerator]]:
    """One generator for each class, in the order of the classes, each trained on images of its class alone.

    build: seed -> new generator and discriminator; each class has its own seed, drawn from `seed`. images:
    float (N, C, H, W) in 0 to 1; labels: int64 (N,), 0 to K - 1. on_snapshot: called with the class and what
    its loop shows. checkpoint: a folder with a file for each class.

    Refit it on each fold's training patients: a generator that has seen the test patients leaks them. Errors
    as `train_gan` (a class has fewer images than a batch) and `require_labels`.
    """
    classes = require_labels(labels, len(images), "per-class DCGAN")
    results = []
    for k, own in enumerate(seeds_of_classes(seed, classes)):
        generator, discriminator = build(own)
        watching = None if on_snapshot is None else Watching(_with_class(on_snapshot, k), snapshot_every)
        results.append(
            train_gan(
                generator,
                discriminator,
                images[labels == k],
                config,
                seed=own,
                watching=watching,
                checkpoint=None if checkpoint is None else checkpoint / f"class-{k}.pt",
                checkpoint_every=checkpoint_every,
            )
        )
    return results


def seeds_of_classes(seed: int, classes: int) -> list[int]:
    """The seed of each class, of networks and loop, in the order of the classes."""
    seeds: list[int] = np.random.SeedSequence(seed).generate_state(classes).tolist()
    return seeds


def _with_class(on_snapshot: Callable[[int, Snapshot], None], k: int) -> Callable[[Snapshot], None]:
    return lambda snapshot: on_snapshot(k, snapshot)
