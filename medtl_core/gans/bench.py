"""How much of the bare step rate the GAN loop keeps, measured in one run."""

import torch
from torch import nn

from medtl_core.gans.loops.gan import GANConfig, train_gan
from medtl_core.gans.losses.adversarial import adversarial_loss
from medtl_core.gans.networks.convolutional import ConvolutionalDiscriminator, ConvolutionalGenerator
from medtl_core.paired_timing import median_seconds

SIZE = 32  # pixels
WIDTH = 32
BATCH = 32
LATENT = 100
TARGET = 0.9


def run(rounds: int = 5, steps: int = 24) -> list[dict[str, str | int | float]]:
    """Step rate of `train_gan` on the CPU as a share of the bare rate, for a DCGAN of 32 px.

    Bare is a step of both players on one resident batch, with the same networks, losses and optimisers and
    nothing else. The loop adds drawing, the moving average and the history; both take turns, and `ratio` is
    that of their medians over `rounds`. Also given: images per second of both, threads, and the ratio to
    reach (`target`).
    """
    images = torch.rand(steps * BATCH, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    generator = ConvolutionalGenerator(size=SIZE, channels=1, seed=0, width=WIDTH, latent_dim=LATENT)
    discriminator = ConvolutionalDiscriminator(size=SIZE, channels=1, seed=1, width=WIDTH)
    config = GANConfig(steps=steps, batch_size=BATCH)
    real, z = images[:BATCH] * 2 - 1, torch.rand(BATCH, LATENT) * 2 - 1
    optimisers = [
        torch.optim.Adam(network.parameters(), lr=config.learning_rate, betas=(0.5, 0.999))
        for network in (generator, discriminator)
    ]

    def loop() -> None:
        train_gan(generator, discriminator, images, config, seed=0)

    def bare() -> None:
        generator.train()
        discriminator.train()
        for _ in range(steps):
            _bare_step(generator, discriminator, real, z, *optimisers)

    seconds = median_seconds({"bare": bare, "loop": loop}, rounds)
    bare_seconds, loop_seconds = seconds["bare"], seconds["loop"]
    return [
        {
            "name": f"train_gan DCGAN {SIZE} px",
            "ratio": bare_seconds / loop_seconds,
            "target": TARGET,
            "images_per_second": steps * BATCH / loop_seconds,
            "bare_images_per_second": steps * BATCH / bare_seconds,
            "batch_size": BATCH,
            "threads": torch.get_num_threads(),
            "device": "cpu",
        }
    ]


def _bare_step(
    generator: nn.Module,
    discriminator: nn.Module,
    real: torch.Tensor,
    z: torch.Tensor,
    g_optimiser: torch.optim.Optimizer,
    d_optimiser: torch.optim.Optimizer,
) -> None:
    """Algorithm 1 of Goodfellow et al. 2014; D's weights keep no gradient in G's turn."""
    loss = adversarial_loss("non_saturating")
    fake = generator(z)
    d_optimiser.zero_grad(set_to_none=True)
    loss.discriminator(discriminator(real), discriminator(fake.detach())).backward()
    d_optimiser.step()
    discriminator.requires_grad_(False)
    g_optimiser.zero_grad(set_to_none=True)
    loss.generator(discriminator(fake)).backward()
    g_optimiser.step()
    discriminator.requires_grad_(True)
