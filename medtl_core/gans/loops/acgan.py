"""ACGAN: one generator for all classes, and a discriminator that names the class (Odena et al. 2017)."""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from medtl_core.errors import MedtlError
from medtl_core.gans.differentiable import augment_differentiably
from medtl_core.gans.domain_images import inner_images, require_fit, require_labels
from medtl_core.gans.loops.optimisation import adam, frozen, moving_average, require_settings, update
from medtl_core.gans.loops.snapshot import Watching
from medtl_core.gans.loops.training_run import GANResult, TrainingRun, data_identity
from medtl_core.gans.losses.adversarial import adversarial_loss
from medtl_core.gans.losses.auxiliary import auxiliary_class_loss
from medtl_core.gans.networks.conditional import ConditionalGenerator, TwoHeadDiscriminator
from medtl_core.gans.warning_signs import collapse_sign

SHOWN = 4  # images of each class in a snapshot


@dataclass(frozen=True)
class ACGANConfig:
    """How to train; the rest as `GANConfig`.

    class_weight: of the class term. made_class_weight: what generated images count in the discriminator's
    class term. 1 as in the paper; then its class head may learn any code for the classes that the generator
    offers, the right look of a class or not. At 0 the head learns from real images alone.
    """

    steps: int = 2000
    batch_size: int = 32
    learning_rate: float = 2e-4
    loss: str = "non_saturating"
    class_weight: float = 1.0
    made_class_weight: float = 1.0
    augmented: bool = False
    ema_decay: float = 0.99
    bfloat16: bool = False

    def __post_init__(self) -> None:
        adversarial_loss(self.loss)
        require_settings(
            "ACGAN",
            steps=self.steps,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            class_weight=self.class_weight,
            made_class_weight=self.made_class_weight,
            ema_decay=self.ema_decay,
        )


def train_acgan(
    generator: ConditionalGenerator,
    discriminator: TwoHeadDiscriminator,
    images: Tensor,
    labels: Tensor,
    config: ACGANConfig,
    *,
    seed: int,
    watching: Watching | None = None,
    checkpoint: Path | None = None,
    checkpoint_every: int = 500,
) -> GANResult[ConditionalGenerator]:
    """Train both on images (N, C, H, W) in 0 to 1 with labels int64 (N,), 0 to K - 1.

    The discriminator lowers its adversarial loss and the class term on real and generated images; the
    generator lowers its own adversarial loss and the class term on what it made. The classes of generated
    images are drawn uniformly. Seeds and checkpoints as in `train_gan`. In the history, `class_real` and
    `class_fake` are the class terms of the discriminator's turn.

    Raises MedtlError as `train_gan` and `require_labels`, and where the networks have other classes.
    """
    classes = require_labels(labels, len(images), "ACGAN")
    real_images = inner_images(images, "ACGAN", config.batch_size)
    if not generator.classes == discriminator.classes == classes:
        raise MedtlError(
            f"ACGAN: generator of {generator.classes} and discriminator of {discriminator.classes} classes, "
            f"labels of {classes}, expected the same number"
        )
    device, n = real_images.device, config.batch_size
    labels = labels.to(device)
    generator.to(device).train()
    discriminator.to(device).train()
    loss, average = adversarial_loss(config.loss), moving_average(generator, config.ema_decay)
    g_optimiser, d_optimiser = (
        adam(network, learning_rate=config.learning_rate) for network in (generator, discriminator)
    )
    run = TrainingRun(
        "ACGAN",
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
        identity=f"{config}, images {data_identity(images, labels)}",
        checkpoint=checkpoint,
        checkpoint_every=checkpoint_every,
    )
    shown = run.latent(SHOWN, generator.latent_dim)
    each = torch.arange(classes, device=device).repeat_interleave(SHOWN)
    require_fit("ACGAN, generator", average, [shown[:2], each[:2]], real_images)
    require_fit("ACGAN, discriminator", discriminator, [real_images[:2]], None)

    @torch.no_grad()
    def view() -> tuple[dict[str, Tensor], list[str]]:
        made = average(shown.repeat(classes, 1), each).split(SHOWN)
        signs = [(k, collapse_sign(part, real_images[labels == k])) for k, part in enumerate(made)]
        rows = {f"class {k}": part for k, part in enumerate(made)}
        return rows, [f"class {k}: {sign}" for k, sign in signs if sign]

    def seen(x: Tensor) -> Tensor:
        return augment_differentiably(x, run.generator) if config.augmented else x

    with run:
        for _ in run.steps(watching, view):
            batch = run.batch(len(images), n)
            wanted = torch.randint(classes, (n,), generator=run.generator, device=device)
            with run.half_precision(config.bfloat16):
                fake = generator(run.latent(n, generator.latent_dim), wanted)
                on_real, class_real = discriminator(seen(real_images[batch]))
                on_fake, class_fake = discriminator(seen(fake.detach()))
            right_real = auxiliary_class_loss(class_real.float(), labels[batch])
            right_fake = auxiliary_class_loss(class_fake.float(), wanted)
            d_loss = loss.discriminator(on_real.float(), on_fake.float())
            right_both = right_real + config.made_class_weight * right_fake
            update(d_optimiser, d_loss + config.class_weight * right_both)

            with frozen(discriminator), run.half_precision(config.bfloat16):
                verdict, class_fake = discriminator(seen(fake))
            g_loss = loss.generator(verdict.float())
            right = auxiliary_class_loss(class_fake.float(), wanted)
            update(g_optimiser, g_loss + config.class_weight * right)
            average.update_parameters(generator)
            run.record(discriminator=d_loss, generator=g_loss, class_real=right_real, class_fake=right_fake)

    return GANResult(cast(ConditionalGenerator, average.module), run.history, tuple(view()[1]))
