"""A named encoder of the domain, which has to rank known images rightly before any figure of it counts.

With the features of an ImageNet network at 32 px, plain noise came out nearer to real images than a noisy
mean image (a trial of our own): a distance says nothing where the features do not see the difference.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from medtl_core.backbones import zoo
from medtl_core.backbones.zoo import Backbone
from medtl_core.data.tensors import normalise, replicate_grey
from medtl_core.errors import MedtlError
from medtl_core.gans.domain_images import inner_images
from medtl_core.gans.quality.halves import halves
from medtl_core.gans.quality.sample_distance import frechet_distance, kernel_distance
from medtl_core.training.prediction import evaluation_mode

Features = Callable[[Tensor], NDArray[np.float32]]
BLUR = 1.7  # standard deviation in pixels of a 64-px image, as `corrupt` at severity 2
ORDER = ("real", "blurred", "mean image", "noise")
MEASURES = {"kid": kernel_distance, "fid": frechet_distance}


@dataclass(frozen=True)
class DomainEncoder:
    """Features by name: images float (N, C, H, W) in 0 to 1 -> (N, D). Made by `domain_encoder`.

    rankings: for each measure, "kid" and "fid", the distance of held-out real images, blurred ones, the mean
    image and noise from real images.
    """

    name: str
    features: Features = field(repr=False)
    rankings: dict[str, dict[str, float]]

    def require_ranking(self, measure: str) -> None:
        """MedtlError for an unknown measure, and unless real < blurred < mean image < noise in it."""
        if measure not in self.rankings:
            raise MedtlError(f"measure: found {measure!r}, expected one of {', '.join(self.rankings)}")
        ranking = self.rankings[measure]
        values = [ranking[name] for name in ORDER]
        if any(not nearer < farther for nearer, farther in pairwise(values)):
            found = ", ".join(
                f"{name} {ranking[name]:.3g}" for name in sorted(ORDER, key=ranking.__getitem__)
            )
            raise MedtlError(
                f"encoder {self.name}: ranks by {measure} {found}, expected {', '.join(ORDER)}; train it on "
                "this domain or for longer"
            )


def domain_encoder(
    name: str, features: Features, images: Tensor, *, groups: NDArray[np.generic] | None = None, seed: int = 0
) -> DomainEncoder:
    """The encoder, after it has ranked real, blurred and mean image and noise rightly by KID.

    images: real ones (N, C, H, W) in 0 to 1 that it was not trained on. One half is the reference; the other
    half is the real set, and is blurred. groups (N,): patients, none of whom is in both halves. The ranking
    by FID is kept, too, and looked at where FID is asked for.

    Raises MedtlError for images as `inner_images`, fewer than 8 of them, features that are not finite (N, D),
    and another order.
    """
    inner_images(images, f"encoder {name}", 8)
    reference, held_out = halves(len(images), groups, np.random.default_rng(seed))
    known = {
        "real": images[held_out],
        "blurred": blurred(images[held_out]),
        "mean image": images[reference].mean(0, keepdim=True).expand(len(held_out), -1, -1, -1),
        "noise": _noise(images[held_out], seed),
    }
    base = encode(name, features, images[reference])
    encoded = {what: encode(name, features, some) for what, some in known.items()}
    rankings = {
        measure: {what: distance(base, some) for what, some in encoded.items()}
        for measure, distance in MEASURES.items()
    }
    encoder = DomainEncoder(name, features, rankings)
    encoder.require_ranking("kid")
    return encoder


def encode(name: str, features: Features, images: Tensor) -> NDArray[np.float64]:
    """Features (N, D) of images; MedtlError, naming the encoder, for another shape or values not finite."""
    found = np.asarray(features(images), dtype=np.float64)
    if found.ndim != 2 or len(found) != len(images) or not np.isfinite(found).all():
        raise MedtlError(f"encoder {name}: features {found.shape}, expected finite ones ({len(images)}, D)")
    return found


def backbone_features(backbone: Backbone, batch_size: int = 256) -> Features:
    """Pooled features of a backbone, which should have been trained on the domain: `domain_encoder` checks.

    Grey images become three channels and all are normalised as the backbone wants it; the network keeps its
    device and modes.
    """
    network = backbone.network
    device = next(network.parameters()).device

    def features(images: Tensor) -> NDArray[np.float32]:
        parts = []
        with evaluation_mode(network):
            for part in images.split(batch_size):
                x = part.to(device).float()
                x = normalise(replicate_grey(x) if x.shape[1] == 1 else x, backbone.normalisation)
                parts.append(zoo.pooled_features(network, x).float().cpu())
        found: NDArray[np.float32] = torch.cat(parts).numpy()
        return found

    return features


def blurred(images: Tensor) -> Tensor:
    """Images (N, C, H, W) under a Gaussian of 1.7 px of a 64-px image."""
    sigma = BLUR * images.shape[-1] / 64
    values = ndimage.gaussian_filter(images.cpu().numpy(), sigma, mode="nearest", axes=(2, 3))
    return torch.from_numpy(values).to(images)


def _noise(images: Tensor, seed: int) -> Tensor:
    """Independent Gaussian pixels with the mean and standard deviation of each channel, cut to 0 to 1."""
    draw = torch.Generator().manual_seed(seed)
    drawn = torch.randn(images.shape, generator=draw).to(images)
    mean, spread = images.mean((0, 2, 3), keepdim=True), images.std((0, 2, 3), keepdim=True)
    return (mean + spread * drawn).clamp(0, 1)
