"""The class term of the auxiliary classifier GAN (Odena et al. 2017, equation 3)."""

from torch import Tensor
from torch.nn import functional


def auxiliary_class_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean of -log P(class = label): logits (N, K) as the network gives them, labels (N,) int64.

    The discriminator minimises it on real and on generated images, the generator on generated ones (L_C of
    the paper, with its sign turned). Cross-entropy takes the soft-max itself; a soft-max in the network, as
    in some public code, would flatten its gradient.
    """
    return functional.cross_entropy(logits, labels)
