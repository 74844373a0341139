"""Losses of image translation: L1 to the target, round trip, and identity."""

from torch import Tensor
from torch.nn import functional


def reconstruction_loss(output: Tensor, target: Tensor) -> Tensor:
    """Mean of |output - target| over images (N, C, H, W) (Isola et al. 2017, equation 3)."""
    return functional.l1_loss(output, target)


def cycle_loss(x: Tensor, x_again: Tensor, y: Tensor, y_again: Tensor) -> Tensor:
    """Mean |F(G(x)) - x| plus mean |G(F(y)) - y| (Zhu et al. 2017, equation 2).

    It judges the round trip alone. G(x) itself may look like anything from which F finds the way back.
    """
    return functional.l1_loss(x_again, x) + functional.l1_loss(y_again, y)


def identity_loss(x: Tensor, f_of_x: Tensor, y: Tensor, g_of_y: Tensor) -> Tensor:
    """Mean |G(y) - y| plus mean |F(x) - x|, G to the domain of y and F to that of x (ibid., section 5.2)."""
    return functional.l1_loss(g_of_y, y) + functional.l1_loss(f_of_x, x)
