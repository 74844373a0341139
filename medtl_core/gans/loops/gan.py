"""The vanilla GAN and DCGAN: one loop, two kinds of networks."""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from medtl_core.gans.differentiable import augment_differentiably
from medtl_core.gans.domain_images import inner_images, require_fit
from medtl_core.gans.loops.optimisation import adam, frozen, moving_average, require_settings, update
from medtl_core.gans.loops.snapshot import Watching
from medtl_core.gans.loops.training_run import GANResult, TrainingRun, data_identity
from medtl_core.gans.losses.adversarial import adversarial_loss
from medtl_core.gans.losses.penalty import gradient_penalty
from medtl_core.gans.networks.latent import LatentGenerator
from medtl_core.gans.warning_signs import collapse_sign

SHOWN = 16


@dataclass(frozen=True)
class GANConfig:
    """How to train. Defaults after Radford et al. 2016: Adam with 2e-4 and beta .5, non-saturating loss.

    penalty: weight of the gradient penalty, 0 for none. augmented: differentiable augmentation. ema_decay:
    of the averaged generator, which is the one that is given back. learning: False freezes the discriminator
    as it starts, an ablation. bfloat16: forward passes in half precision, for a GPU.
    """

    steps: int = 2000
    batch_size: int = 32
    learning_rate: float = 2e-4
    loss: str = "non_saturating"
    penalty: float = 0.0
    augmented: bool = False
    ema_decay: float = 0.99
    learning: bool = True
    bfloat16: bool = False

    def __post_init__(self) -> None:
        adversarial_loss(self.loss)
        require_settings(
            "GAN",
            steps=self.steps,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            penalty=self.penalty,
            ema_decay=self.ema_decay,
        )


def train_gan(
    generator: LatentGenerator,
    discriminator: nn.Module,
    images: Tensor,
    config: GANConfig,
    *,
    seed: int,
    watching: Watching | None = None,
    checkpoint: Path | None = None,
    checkpoint_every: int = 500,
) -> GANResult[LatentGenerator]:
    """Train a generator against a discriminator (Goodfellow et al. 2014, algorithm 1 with one step each).

    images: float (N, C, H, W) in 0 to 1; the networks move to their device. discriminator: images in -1 to 1
    -> logits. `seed` alone decides batches, latent vectors, dropout and augmentation. checkpoint: a file that
    a stopped run resumes from, to the same weights bit for bit on a CPU.

    Raises MedtlError for images as `inner_images`, a loss that is not finite (naming the step), and a
    checkpoint that is damaged or of another run.
    """
    real_images = inner_images(images, "GAN", config.batch_size)
    device = real_images.device
    generator.to(device).train()
    discriminator.to(device).train()
    loss, average = adversarial_loss(config.loss), moving_average(generator, config.ema_decay)
    g_optimiser, d_optimiser = (
        adam(network, learning_rate=config.learning_rate) for network in (generator, discriminator)
    )
    run = TrainingRun(
        "GAN",
        {
            "generator": generator,
            "discriminator": discriminator,
            "average": average,
            "g_optimiser": g_optimiser,
            "d_optimiser": d_optimiser,
        },
        steps=config.steps,
        seed=seed,
        device=device,
        identity=f"{config}, images {data_identity(images)}",
        checkpoint=checkpoint,
        checkpoint_every=checkpoint_every,
    )
    shown = run.latent(SHOWN, generator.latent_dim)
    require_fit("GAN, generator", average, [shown[:2]], real_images)
    require_fit("GAN, discriminator", discriminator, [real_images[:2]], None)

    @torch.no_grad()
    def view() -> tuple[dict[str, Tensor], list[str]]:
        made = average(shown)
        sign = collapse_sign(made, real_images)
        return {"generated": made}, [sign] if sign else []

    def seen(x: Tensor) -> Tensor:
        return augment_differentiably(x, run.generator) if config.augmented else x

    with run:
        for _ in run.steps(watching, view):
            real = real_images[run.batch(len(images), config.batch_size)]
            with run.half_precision(config.bfloat16):
                fake = generator(run.latent(config.batch_size, generator.latent_dim))
                on_real, on_fake = discriminator(seen(real)), discriminator(seen(fake.detach()))
            d_loss = loss.discriminator(on_real.float(), on_fake.float())
            if config.penalty:
                slope = gradient_penalty(
                    discriminator, seen(real), seen(fake.detach().float()), run.generator
                )
                d_loss = d_loss + config.penalty * slope
            if config.learning:
                update(d_optimiser, d_loss)

            with frozen(discriminator), run.half_precision(config.bfloat16):
                verdict = discriminator(seen(fake))
            g_loss = loss.generator(verdict.float())
            update(g_optimiser, g_loss)
            average.update_parameters(generator)
            run.record(discriminator=d_loss, generator=g_loss)

    return GANResult(cast(LatentGenerator, average.module), run.history, tuple(view()[1]))
