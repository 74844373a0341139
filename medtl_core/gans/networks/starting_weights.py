"""Starting weights and allowed sizes of GAN networks."""

import torch
from torch import nn

from medtl_core.errors import MedtlError

SMALLEST, LARGEST = 16, 128
NORMS = (nn.BatchNorm2d, nn.InstanceNorm2d)


def initialise(network: nn.Module, seed: int) -> None:
    """Weights from N(0, .02), scales of norms from N(1, .02), biases 0 (Radford et al. 2016, section 4).

    `seed` alone decides them; the global random state stays as it is.
    """
    draw = torch.Generator().manual_seed(seed)
    for module in network.modules():
        weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
        if isinstance(weight, nn.Parameter):
            nn.init.normal_(weight, 1.0 if isinstance(module, NORMS) else 0.0, 0.02, generator=draw)
        if isinstance(bias, nn.Parameter):
            nn.init.zeros_(bias)


def require_size(who: str, size: int) -> None:
    """MedtlError unless `size` is a multiple of 4 from 16 to 128."""
    if size not in range(SMALLEST, LARGEST + 1, 4):
        raise MedtlError(
            f"{who}: images of {size} px, expected a multiple of 4 from {SMALLEST} to {LARGEST}; "
            "resize or crop them first"
        )


def require_counts(who: str, **counts: int) -> None:
    """MedtlError, with the name, for a count that is below 1."""
    for name, count in counts.items():
        if count < 1:
            raise MedtlError(f"{who}: {name} is {count}, expected at least 1")
