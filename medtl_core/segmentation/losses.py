"""What a segmentation network minimises: soft Dice, focal loss, and the sum that Yao et al. use.

logits: float (N, K, *size), masks: integers (N, *size) in 0..K-1; each loss is one number.
"""

import torch
from torch import Tensor
from torch.nn import functional

from medtl_core.errors import MedtlError

SMOOTH = 1e-5  # as in Yao's code: a class that is absent from masks and predictions costs nothing


def dice_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """1 - mean over the foreground classes of 2 sum(p g) / (sum p + sum g), p the softmax, g one-hot.

    Sums run over the whole batch, so that a class that one small crop lacks does no harm.
    """
    p, g = _paired(logits, masks)
    dice = (2 * (p * g).sum(1) + SMOOTH) / (p.sum(1) + g.sum(1) + SMOOTH)
    return 1 - dice[1:].mean()


def squared_dice_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """1 - mean over all classes of 2 sum(p g) / (sum p^2 + sum g^2) (Milletari et al. 2016, section 3).

    Background included, as in Yao's code; sums run over the whole batch.
    """
    p, g = _paired(logits, masks)
    dice = (2 * (p * g).sum(1) + SMOOTH) / (p.square().sum(1) + g.square().sum(1) + SMOOTH)
    return 1 - dice.mean()


def focal_loss(logits: Tensor, masks: Tensor, gamma: float = 2.0) -> Tensor:
    """Mean over pixels of -(1 - p)^gamma log p, p the probability of the true class.

    Lin et al. 2017, equation 4; gamma 0 is cross-entropy.
    """
    _require_match(logits, masks)
    log_p = functional.log_softmax(logits, dim=1).gather(1, masks.long().unsqueeze(1))
    return (-((1 - log_p.exp()) ** gamma) * log_p).mean()


def dice_focal_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Squared Dice loss + 10 x focal loss / number of classes (Yao et al. 2022, public code).

    Their code takes the mean of the focal loss over pixels *and* classes; all but the true class are 0.
    """
    return squared_dice_loss(logits, masks) + 10 * focal_loss(logits, masks) / logits.shape[1]


def cross_entropy_dice_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Cross-entropy + soft Dice, the usual sum of small segmentation networks (Isensee et al. 2021)."""
    return focal_loss(logits, masks, gamma=0.0) + dice_loss(logits, masks)


def _paired(logits: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities and one-hot masks, both (K, pixels of the batch)."""
    _require_match(logits, masks)
    k = logits.shape[1]
    p = functional.softmax(logits, dim=1).transpose(0, 1).reshape(k, -1)
    return p, functional.one_hot(masks.reshape(-1).long(), k).to(p.dtype).T


def _require_match(logits: Tensor, masks: Tensor) -> None:
    expected = (logits.shape[0], *logits.shape[2:])
    if tuple(masks.shape) != expected:
        raise MedtlError(
            f"segmentation loss: masks {tuple(masks.shape)} for outputs {tuple(logits.shape)}, expected "
            f"masks {expected}"
        )
    if masks.is_floating_point() or masks.dtype == torch.bool:
        raise MedtlError(f"segmentation loss: masks are {masks.dtype}, expected integers, one for each class")
    if int(masks.max()) >= logits.shape[1]:
        raise MedtlError(
            f"segmentation loss: a mask value is {int(masks.max())}, but the network has {logits.shape[1]} "
            "outputs; build it with one output for each class, background included"
        )
