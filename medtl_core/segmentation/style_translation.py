"""Learning to translate between two domains without pairs: stage 1 of Yao et al. 2022, at small size.

Content is encoded alike in both domains, style apart. The terms and their weights are those of the paper.
Smaller than there: one patch discriminator for each image domain instead of several scales, AdamW instead of
AdaBelief, no moving average of weights. The content loss asks for answers half-way between the domains.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from medtl_core.errors import MedtlError
from medtl_core.segmentation.batches import unlabelled_batches
from medtl_core.segmentation.cases import UnlabelledImages
from medtl_core.segmentation.networks.output_discriminator import OutputDiscriminator
from medtl_core.segmentation.networks.style_translator import ContentDiscriminator, StyleTranslator
from medtl_core.segmentation.output_space import frozen
from medtl_core.segmentation.supervised import descent, finite, update


@dataclass(frozen=True)
class TranslationConfig:
    """How to train: steps, images a step, the translator's learning rate; the paper's weights of the terms.

    The discriminators learn at `discriminator_rate` times the translator's rate; the paper has twice. In
    a few hundred steps, the weight of 10 for reconstruction and cycle lets the translator keep the order of
    greys where the target reverses it; with a weight of 1 less of that order is left. Lower the weight of the
    style with them: its term is 0 for style codes of 0, which weak terms of reconstruction do not prevent.
    """

    steps: int = 500
    batch_size: int = 8
    learning_rate: float = 5e-4
    discriminator_rate: float = 2.0
    reconstruction_weight: float = 10.0
    cycle_weight: float = 10.0
    content_weight: float = 1.0
    style_weight: float = 1.0
    adversarial_weight: float = 1.0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch_size < 1 or not min(self.learning_rate, self.discriminator_rate) > 0:
            raise MedtlError(
                f"style translation: steps {self.steps}, batch_size {self.batch_size}, learning_rate "
                f"{self.learning_rate}, discriminator_rate {self.discriminator_rate}; expected at least 1, "
                "at least 1, above 0 and above 0"
            )


class Discriminators(nn.Module):
    """Is this a real source image, a real target image, a source content? Logits per patch."""

    def __init__(self, channels: int, *, width: int = 16, seed: int) -> None:
        super().__init__()
        self.source = OutputDiscriminator(channels, width=width, layers=2, seed=seed)
        self.target = OutputDiscriminator(channels, width=width, layers=2, seed=seed + 1)
        self.content = ContentDiscriminator(width, seed=seed + 2)


def train_translator(
    translator: StyleTranslator,
    discriminators: Discriminators,
    source: UnlabelledImages,
    target: UnlabelledImages,
    config: TranslationConfig,
    *,
    seed: int,
) -> list[dict[str, float]]:
    """Train on two unpaired sets of images, or of volumes, whose slices are then used; no masks are seen.

    The history has every term of the translator, unweighted, and the loss of the discriminators, for each
    step. Raises MedtlError for one domain instead of two and for losses that are not finite.
    """
    require_apart(source, target)
    device = next(translator.parameters()).device
    optimiser, schedule = descent(translator.parameters(), config.learning_rate, config.steps, (0.5, 0.9))
    d_rate = config.discriminator_rate * config.learning_rate
    d_optimiser, d_schedule = descent(discriminators.parameters(), d_rate, config.steps, (0.5, 0.9))
    sources, targets = (
        unlabelled_batches(slices_of(images), config.batch_size, None, seed + k)
        for k, images in enumerate((source, target))
    )
    weights = {
        "reconstruction": config.reconstruction_weight,
        "cycle": config.cycle_weight,
        "content": config.content_weight,
        "style": config.style_weight,
        "adversarial": config.adversarial_weight,
    }
    history = []
    translator.train()
    for _, x, y in zip(range(config.steps), sources, targets, strict=False):
        real = (x.to(device), y.to(device))
        terms, made, contents = translation_terms(translator, discriminators, *real)
        update(optimiser, torch.stack([weights[name] * term for name, term in terms.items()]).sum())
        d_loss = truth_loss(discriminators, real, made, contents)
        update(d_optimiser, d_loss)
        schedule.step()
        d_schedule.step()
        history.append({name: term.detach() for name, term in (terms | {"discriminator": d_loss}).items()})
    translator.eval()
    return finite(history, "style translation")


Pair = tuple[Tensor, Tensor]


def translation_terms(
    translator: StyleTranslator, discriminators: Discriminators, x: Tensor, y: Tensor
) -> tuple[dict[str, Tensor], Pair, Pair]:
    """The translator's terms for source x and target y; the translations of both; the contents of both.

    Their gradients reach the translator alone.
    """
    (c_x, s_x), (c_y, s_y) = translator.encode(x, "source"), translator.encode(y, "target")
    to_y, to_x = translator.decode(c_x, s_y), translator.decode(c_y, s_x)
    (c_x_again, s_y_again) = translator.encode(to_y, "target")
    (c_y_again, s_x_again) = translator.encode(to_x, "source")

    def distance(*pairs: Pair) -> Tensor:
        return torch.stack([(a - b).abs().mean() for a, b in pairs]).sum()

    with frozen(discriminators):
        judged = [discriminators.target(to_y), discriminators.source(to_x)]
        # Contents of both domains shall be undecidable: half-way between the answers 0 and 1.
        undecided = [(discriminators.content(c) - 0.5).square().mean() for c in (c_x, c_y)]
    terms = {
        "reconstruction": distance((translator.decode(c_x, s_x), x), (translator.decode(c_y, s_y), y)),
        "cycle": distance((translator.decode(c_x_again, s_x), x), (translator.decode(c_y_again, s_y), y)),
        "content": distance((c_x_again, c_x), (c_y_again, c_y)),
        "style": distance((s_y_again, s_y), (s_x_again, s_x)),
        "adversarial": torch.stack([(j - 1).square().mean() for j in judged] + undecided).sum(),
    }
    return terms, (to_y, to_x), (c_x, c_y)


def truth_loss(discriminators: Discriminators, real: Pair, made: Pair, contents: Pair) -> Tensor:
    """Least squares (Mao et al. 2017): 1 for what is real (or of the source), 0 for what is not.

    Its gradient reaches the discriminators alone.
    """
    answers = [
        (discriminators.source, real[0], made[1]),
        (discriminators.target, real[1], made[0]),
        (discriminators.content, contents[0], contents[1]),
    ]
    parts = [
        (judge(yes.detach()) - 1).square().mean() + judge(no.detach()).square().mean()
        for judge, yes, no in answers
    ]
    return torch.stack(parts).sum()


def slices_of(images: UnlabelledImages) -> UnlabelledImages:
    """Images as they are; volumes as slices (M, C, H, W), the first and last sixth of the depth left out."""
    if images.images.ndim == 4:
        return images
    depth = images.images.shape[2]
    inner = images.images[:, :, depth // 6 : depth - depth // 6]
    return UnlabelledImages(images.name, inner.transpose(1, 2).flatten(0, 1))


def require_apart(source: UnlabelledImages, target: UnlabelledImages) -> None:
    """Raise MedtlError for one domain instead of two, and for sides that are not even."""
    if source.name == target.name:
        raise MedtlError(f"style translation: both domains are {source.name!r}, expected two of them")
    for images in (source, target):
        if any(side % 2 for side in images.images.shape[-2:]):
            raise MedtlError(
                f"style translation: {images.name} has slices of {tuple(images.images.shape[-2:])} px, "
                "expected even sides; crop one row or column"
            )
