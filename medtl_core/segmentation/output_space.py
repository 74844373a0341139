"""Adversarial adaptation in the output space (Tsai et al. 2018, AdaptSegNet), at a single level.

Segmentations of the two domains look alike even where their images do not. A discriminator learns to tell the
segmentation of a target image from that of a source image, and the network learns to deceive it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from medtl_core.errors import MedtlError
from medtl_core.segmentation.batches import labelled_batches, unlabelled_batches
from medtl_core.segmentation.cases import SegmentationCases, UnlabelledImages, require_two_domains
from medtl_core.segmentation.networks.dar_unet import DARUNet
from medtl_core.segmentation.networks.output_discriminator import OutputDiscriminator, probabilities
from medtl_core.segmentation.networks.unet import UNet
from medtl_core.segmentation.supervised import (
    SegmentationConfig,
    descent,
    finite,
    looked,
    mask_loss,
    update,
)


@dataclass(frozen=True)
class OutputAdaptationConfig(SegmentationConfig):
    """As for `segment`; weight of the adversarial loss and the discriminator's learning rate: the paper's."""

    adversarial_weight: float = 0.001
    discriminator_learning_rate: float = 1e-4

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.adversarial_weight < 0 or not self.discriminator_learning_rate > 0:
            raise MedtlError(
                f"output-space adaptation: adversarial_weight is {self.adversarial_weight}, "
                f"discriminator_learning_rate is {self.discriminator_learning_rate}; expected at least 0 and "
                "above 0"
            )


def adapt_output_space(
    network: UNet | DARUNet,
    discriminator: OutputDiscriminator,
    source: SegmentationCases,
    target: UnlabelledImages,
    config: OutputAdaptationConfig,
    *,
    seed: int,
) -> list[dict[str, float]]:
    """Train on source masks and target images without masks.

    The history has `loss`, `adversarial` and `discriminator` for each step. Source batches are those of
    `segment` for the same seed, so that weight 0 gives the very same network. The last weights are kept. Both
    networks end in evaluation mode. Raises MedtlError for one domain instead of two, for images that do not
    fit one network, and for losses that are not finite.
    """
    require_two_domains(source, target, "output-space adaptation")
    device = next(network.parameters()).device
    optimiser, schedule = descent(network.parameters(), config.learning_rate, config.steps)
    d_optimiser, d_schedule = descent(
        discriminator.parameters(), config.discriminator_learning_rate, config.steps, betas=(0.9, 0.99)
    )
    sources = labelled_batches(source, config.batch_size, config.crop, seed)
    targets = unlabelled_batches(target, config.batch_size, config.crop, seed)
    history: list[dict[str, Tensor | float]] = []
    network.train()
    discriminator.train()
    for step, (x_source, masks), x_target in zip(range(1, config.steps + 1), sources, targets, strict=False):
        heads = network.heads(x_source.to(device))
        p_source, p_target = probabilities(heads[0]), probabilities(network(x_target.to(device)))
        loss = mask_loss(heads, masks.to(device), config.loss)
        adversarial = deception_loss(discriminator, p_target)
        update(optimiser, loss + config.adversarial_weight * adversarial)

        d_loss = discriminator_loss(discriminator, p_source, p_target)
        update(d_optimiser, d_loss)
        schedule.step()
        d_schedule.step()
        history.append(
            {
                "loss": loss.detach(),
                "adversarial": adversarial.detach(),
                "discriminator": d_loss.detach(),
                **looked(config, network, step),
            }
        )
    network.eval()
    discriminator.eval()
    return finite(history, "output-space adaptation")


def deception_loss(discriminator: OutputDiscriminator, target: Tensor) -> Tensor:
    """-log D(P_t)^(source): target segmentations shall pass for source ones (equation 3).

    Its gradient reaches the segmentation network alone, through class probabilities `target` (N, K, *size).
    """
    with frozen(discriminator):
        return functional.softplus(-discriminator(target)).mean()


def discriminator_loss(discriminator: OutputDiscriminator, source: Tensor, target: Tensor) -> Tensor:
    """Half of -log D(P_s)^(source) - log D(P_t)^(target) (equation 1); it reaches the discriminator alone."""
    on_source, on_target = discriminator(source.detach()), discriminator(target.detach())
    return 0.5 * (functional.softplus(-on_source).mean() + functional.softplus(on_target).mean())


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Gradients pass through the network inside, and its own weights get none."""
    wanted = [weights.requires_grad for weights in network.parameters()]
    network.requires_grad_(False)
    try:
        yield
    finally:
        for weights, want in zip(network.parameters(), wanted, strict=True):
            weights.requires_grad_(want)
