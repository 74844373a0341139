"""PatchGAN: a discriminator that judges patches (Isola et al. 2017, section 3.2.2)."""

import torch
from torch import Tensor, nn

from medtl_core.errors import MedtlError
from medtl_core.gans.networks.starting_weights import initialise, require_counts

NORMS = {"batch": nn.BatchNorm2d, "instance": nn.InstanceNorm2d}


class PatchDiscriminator(nn.Module):
    """Images (N, channels, H, W) -> logits (N, 1, h, w), one for each patch of 16, 34 or 70 px.

    layers: 1, 2 or 3 convolutions of stride 2, which make patches of 16, 34 or 70 px. The paper takes 3 for
    256 px; for 28 to 64 px take 1 or 2. norm: "batch" (pix2pix) or "instance" (CycleGAN). For a pair of
    images, as in pix2pix, give both as channels of one.
    """

    def __init__(
        self, *, channels: int, seed: int, layers: int = 2, width: int = 32, norm: str = "batch"
    ) -> None:
        super().__init__()
        if layers not in (1, 2, 3) or norm not in NORMS:
            raise MedtlError(
                f"PatchGAN: {layers} layers and norm {norm!r}, expected 1 to 3 layers and norm 'batch' or "
                "'instance'"
            )
        require_counts("PatchGAN", channels=channels, width=width)
        widths = [width * min(2**k, 8) for k in range(layers + 1)]
        self.convolutions, self.norms = nn.ModuleList(), nn.ModuleList()
        with torch.random.fork_rng(devices=[]):
            self.first = nn.Conv2d(channels, width, 4, 2, 1)
            for k in range(layers):
                stride = 2 if k < layers - 1 else 1
                self.convolutions.append(nn.Conv2d(widths[k], widths[k + 1], 4, stride, 1))
                self.norms.append(NORMS[norm](widths[k + 1]))
            self.last = nn.Conv2d(widths[-1], 1, 4, 1, 1)
        self.activation = nn.LeakyReLU(0.2)
        initialise(self, seed)

    def forward(self, x: Tensor, normalised: bool = True) -> Tensor:
        """Images (N, C, H, W) -> logits (N, 1, h, w); without the norms where not `normalised`."""
        x = self.activation(self.first(x))
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = convolution(x)
            x = self.activation(norm(x) if normalised else x)
        logits: Tensor = self.last(x)
        return logits
