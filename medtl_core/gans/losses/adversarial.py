"""What discriminator and generator minimise: minimax, non-saturating, least squares, hinge, Wasserstein.

A discriminator gives logits of any shape: one for an image, or one for each patch. Every loss is a mean over
them. The loss of the discriminator is the sum of its part on real and its part on generated images; pix2pix
and CycleGAN halve it in their loops.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from medtl_core.errors import MedtlError


@dataclass(frozen=True)
class AdversarialLoss:
    """A pair of losses: `discriminator(real, fake)` and `generator(fake)`, logits in, one number out."""

    name: str
    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]


def adversarial_loss(name: str) -> AdversarialLoss:
    """The pair of that name, see `adversarial_names`; MedtlError for another name."""
    if name not in LOSSES:
        raise MedtlError(f"adversarial loss: found {name!r}, expected one of {', '.join(LOSSES)}")
    return LOSSES[name]


def adversarial_names() -> list[str]:
    """Names that `adversarial_loss` knows."""
    return list(LOSSES)


def _cross_entropy(real: Tensor, fake: Tensor) -> Tensor:
    """-log D(real) - log(1 - D(fake)), D the sigmoid of the logit (Goodfellow et al. 2014, equation 1)."""
    return functional.softplus(-real).mean() + functional.softplus(fake).mean()


def _minimax(fake: Tensor) -> Tensor:
    """log(1 - D(fake)): the generator's part of the value that the discriminator raises (ibid.)."""
    return -functional.softplus(fake).mean()


def _non_saturating(fake: Tensor) -> Tensor:
    """-log D(fake) (ibid., section 3): strong gradients where the discriminator is sure."""
    return functional.softplus(-fake).mean()


def _squares(real: Tensor, fake: Tensor) -> Tensor:
    """(D(real) - 1)^2 + D(fake)^2 (Mao et al. 2017, equation 9, without its factor one half)."""
    return (real - 1).square().mean() + fake.square().mean()


def _square(fake: Tensor) -> Tensor:
    return (fake - 1).square().mean()


def _hinge(real: Tensor, fake: Tensor) -> Tensor:
    """max(0, 1 - D(real)) + max(0, 1 + D(fake)) (Lim & Ye 2017)."""
    return functional.relu(1 - real).mean() + functional.relu(1 + fake).mean()


def _difference(real: Tensor, fake: Tensor) -> Tensor:
    """D(fake) - D(real) (Arjovsky et al. 2017); it needs a gradient penalty beside it."""
    return fake.mean() - real.mean()


def _lift(fake: Tensor) -> Tensor:
    return -fake.mean()


LOSSES = {
    loss.name: loss
    for loss in (
        AdversarialLoss("minimax", _cross_entropy, _minimax),
        AdversarialLoss("non_saturating", _cross_entropy, _non_saturating),
        AdversarialLoss("least_squares", _squares, _square),
        AdversarialLoss("hinge", _hinge, _lift),
        AdversarialLoss("wasserstein", _difference, _lift),
    )
}
