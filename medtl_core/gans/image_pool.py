"""A pool of earlier generated images for the discriminator (Shrivastava et al. 2017, section 2.3)."""

from typing import Any

import torch
from torch import Tensor

from medtl_core.errors import MedtlError


class ImagePool:
    """Keeps `size` generated images; the discriminator sees a mixture of new and earlier ones.

    CycleGAN takes 50. Size 0 gives every batch back as it is.
    """

    def __init__(self, size: int = 50) -> None:
        if size < 0:
            raise MedtlError(f"image pool: size {size}, expected at least 0")
        self.size = size
        self.images: list[Tensor] = []

    def exchange(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """A batch (N, C, H, W) in which about half of the images are earlier ones, each replaced by the new.

        While the pool fills, new images are kept and given back. The result has no gradient.
        """
        given = []
        for image in images.detach():
            if len(self.images) < self.size:
                self.images.append(image.clone())
                given.append(image)
                continue
            chance, place = torch.rand(2, generator=generator, device=generator.device).tolist()
            if self.size and chance < 0.5:
                index = int(place * self.size)
                given.append(self.images[index])
                self.images[index] = image.clone()
            else:
                given.append(image)
        return torch.stack(given)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"images": self.images}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the images of a checkpoint."""
        self.images = list(state["images"])
