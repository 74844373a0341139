"""Images from trained generators."""

import torch
from torch import Tensor, nn

from medtl_core.errors import MedtlError
from medtl_core.gans.domain_images import inner_images, outer_images
from medtl_core.gans.networks.latent import LatentGenerator


@torch.no_grad()
def sample(
    generator: LatentGenerator, count: int, *, seed: int, labels: Tensor | None = None, batch_size: int = 256
) -> Tensor:
    """`count` generated images float (count, C, H, W) in 0 to 1, in the mode that the generator is in.

    labels: int64 (count,), for a generator that is told the class. `seed` alone decides the latent vectors,
    on every device. MedtlError for a count below 1 and another number of labels.
    """
    if count < 1 or (labels is not None and len(labels) != count):
        found = "" if labels is None else f" and {len(labels)} labels"
        raise MedtlError(f"sample: {count} images{found}, expected at least 1 and one label for each")
    device = next(generator.parameters()).device
    draw = torch.Generator().manual_seed(seed)
    z = (torch.rand(count, generator.latent_dim, generator=draw) * 2 - 1).to(device)
    made = []
    for start in range(0, count, batch_size):
        some = slice(start, start + batch_size)
        made.append(generator(z[some]) if labels is None else generator(z[some], labels[some].to(device)))
    return outer_images(torch.cat(made))


@torch.no_grad()
def translate(generator: nn.Module, images: Tensor, *, batch_size: int = 64) -> Tensor:
    """What an image-to-image generator makes of images float (N, C, H, W) in 0 to 1: the same range.

    MedtlError for images of another type, shape or range.
    """
    device = next(generator.parameters()).device
    x = inner_images(images, "translate", 1).to(device)
    return outer_images(torch.cat([generator(part) for part in x.split(batch_size)]))
