"""Pix2Pix: image translation learned from pairs (Isola et al. 2017)."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from medtl_core.errors import MedtlError
from medtl_core.gans.domain_images import inner_images, require_fit
from medtl_core.gans.loops.optimisation import adam, frozen, require_settings, update
from medtl_core.gans.loops.snapshot import Watching
from medtl_core.gans.loops.training_run import GANResult, TrainingRun, data_identity
from medtl_core.gans.losses.adversarial import adversarial_loss
from medtl_core.gans.losses.translation import reconstruction_loss
from medtl_core.gans.warning_signs import collapse_sign, unchanged_sign

SHOWN = 8


@dataclass(frozen=True)
class Pix2PixConfig:
    """How to train; the paper's weights: 1 for the adversary, 100 for L1. Weight 0 leaves a term out."""

    steps: int = 2000
    batch_size: int = 4
    learning_rate: float = 2e-4
    loss: str = "non_saturating"
    adversarial_weight: float = 1.0
    l1_weight: float = 100.0
    bfloat16: bool = False

    def __post_init__(self) -> None:
        adversarial_loss(self.loss)
        require_settings(
            "Pix2Pix",
            steps=self.steps,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            adversarial_weight=self.adversarial_weight,
            l1_weight=self.l1_weight,
        )


def train_pix2pix(
    generator: nn.Module,
    discriminator: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    config: Pix2PixConfig,
    *,
    seed: int,
    watching: Watching | None = None,
    checkpoint: Path | None = None,
    checkpoint_every: int = 500,
) -> GANResult[nn.Module]:
    """Train a generator from inputs (N, A, H, W) to the targets (N, B, H, W) at the same positions.

    Both are float in 0 to 1. discriminator: input and output as one image (N, A + B, H, W) in -1 to 1 ->
    logits; its loss is halved as in the paper. The generator's noise is its dropout, which is off afterwards.
    Seeds and checkpoints as in `train_gan`. In the history, `l1` is the mean absolute difference from the
    target in values of -1 to 1.

    Raises MedtlError as `train_gan`, and where inputs and targets differ in number or size.
    """
    x_all, y_all = (inner_images(images, "Pix2Pix", config.batch_size) for images in (inputs, targets))
    if len(inputs) != len(targets) or inputs.shape[2:] != targets.shape[2:]:
        raise MedtlError(
            f"Pix2Pix: inputs {tuple(inputs.shape)} and targets {tuple(targets.shape)}, expected "
            "pairs of the same size"
        )
    device = x_all.device
    generator.to(device).train()
    discriminator.to(device).train()
    loss = adversarial_loss(config.loss)
    g_optimiser, d_optimiser = (
        adam(network, learning_rate=config.learning_rate) for network in (generator, discriminator)
    )
    run = TrainingRun(
        "Pix2Pix",
        {
            "generator": generator,
            "discriminator": discriminator,
            "g_optimiser": g_optimiser,
            "d_optimiser": d_optimiser,
        },
        steps=config.steps,
        seed=seed,
        device=device,
        identity=f"{config}, images {data_identity(inputs, targets)}",
        checkpoint=checkpoint,
        checkpoint_every=checkpoint_every,
    )

    @torch.no_grad()
    def view() -> tuple[dict[str, Tensor], list[str]]:
        generator.eval()
        made = generator(x_all[:SHOWN])
        generator.train()
        signs = [collapse_sign(made, y_all[:SHOWN]), unchanged_sign((made + 1) / 2, inputs[:SHOWN])]
        rows = {"input": x_all[:SHOWN], "output": made, "target": y_all[:SHOWN]}
        return rows, [sign for sign in signs if sign]

    require_fit("Pix2Pix, generator", generator, [x_all[:1]], y_all)
    both = torch.cat([x_all[:1], y_all[:1]], dim=1)
    require_fit("Pix2Pix, discriminator", discriminator, [both], None)
    with run:
        for _ in run.steps(watching, view):
            batch = run.batch(len(inputs), config.batch_size)
            x, y = x_all[batch], y_all[batch]
            with run.half_precision(config.bfloat16):
                fake = generator(x)
                on_real = discriminator(torch.cat([x, y], dim=1))
                on_fake = discriminator(torch.cat([x, fake.detach()], dim=1))
            d_loss = 0.5 * loss.discriminator(on_real.float(), on_fake.float())
            if config.adversarial_weight:
                update(d_optimiser, d_loss)

            with frozen(discriminator), run.half_precision(config.bfloat16):
                verdict = discriminator(torch.cat([x, fake], dim=1))
            g_loss, l1 = loss.generator(verdict.float()), reconstruction_loss(fake.float(), y)
            update(g_optimiser, config.adversarial_weight * g_loss + config.l1_weight * l1)
            run.record(discriminator=d_loss, generator=g_loss, l1=l1)

    signs = tuple(view()[1])
    return GANResult(generator.eval(), run.history, signs)
