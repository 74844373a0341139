"""Source images in many target styles: stage 1.5 of Yao et al. 2022.

The style codes of the target are clustered by k-means. Every source image or volume is translated once for
each cluster, so that a network learns to segment k looks of it. k = 1 with the centre is the paper's average
style, k = 6 with members its own choice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from torch import Tensor

from medtl_core.errors import MedtlError
from medtl_core.segmentation.cases import SegmentationCases, UnlabelledImages, intensities
from medtl_core.segmentation.networks.style_translator import StyleTranslator
from medtl_core.segmentation.style_translation import slices_of

CHOICES = ("member", "centre")


@dataclass(frozen=True)
class StyleClusters:
    """Style codes float32 (M, S), the cluster of each (M,) in 0..k-1, and the centres (k, S)."""

    codes: NDArray[np.float32]
    assigned: NDArray[np.int64]
    centres: NDArray[np.float32]

    def draw(self, cluster: int, choice: str, rng: np.random.Generator) -> NDArray[np.float32]:
        """A style of the cluster (S,): the code of a random `member`, as the authors do, or the `centre`."""
        if choice not in CHOICES:
            raise MedtlError(f"multi-style: found choice {choice!r}, expected one of {', '.join(CHOICES)}")
        if choice == "centre":
            style: NDArray[np.float32] = self.centres[cluster]
        else:
            style = self.codes[rng.choice(np.flatnonzero(self.assigned == cluster))]
        return style


@torch.no_grad()
def style_codes(translator: StyleTranslator, target: UnlabelledImages) -> NDArray[np.float32]:
    """Style code of every target image, or of every inner slice of its volumes, (M, S)."""
    device = next(translator.parameters()).device
    parts = [
        translator.encode(intensities(part.to(device)), "target")[1].cpu()
        for part in slices_of(target).images.split(64)
    ]
    codes: NDArray[np.float32] = torch.cat(parts).numpy()
    return codes


def cluster_styles(codes: NDArray[np.float32], k: int, *, seed: int) -> StyleClusters:
    """k-means of style codes (M, S); MedtlError for a k below 1 or above the number of different codes."""
    different = len(np.unique(codes, axis=0))
    if not 1 <= k <= different:
        raise MedtlError(
            f"multi-style: k is {k}, expected 1 to {different}, the number of different style codes"
        )
    found = KMeans(k, n_init=10, random_state=seed).fit(codes)
    return StyleClusters(codes, found.labels_.astype(np.int64), found.cluster_centers_.astype(np.float32))


@torch.no_grad()
def translate_to_styles(
    translator: StyleTranslator,
    source: SegmentationCases,
    clusters: StyleClusters,
    *,
    choice: str = "member",
    seed: int,
) -> SegmentationCases:
    """Every source case in a style of every cluster, k N cases, cluster by cluster; masks stay as they are.

    One style serves a whole volume. `choice`: see `StyleClusters.draw`.
    """
    rng = np.random.default_rng(seed)
    translated = [
        translate(translator, image, clusters.draw(cluster, choice, rng))
        for cluster in range(len(clusters.centres))
        for image in source.images
    ]
    k = len(clusters.centres)
    return SegmentationCases(
        f"{source.name}, in {k} {'style' if k == 1 else 'styles'}",
        torch.stack(translated),
        torch.cat([source.masks] * k),
        source.class_names,
    )


@torch.no_grad()
def translate(translator: StyleTranslator, image: Tensor, style: NDArray[np.float32]) -> Tensor:
    """One source image uint8 (C, H, W), or volume (C, D, H, W), slice by slice, in a target style (S,)."""
    device = next(translator.parameters()).device
    slices = image.transpose(0, 1) if image.ndim == 4 else image.unsqueeze(0)
    code = torch.from_numpy(style).to(device).expand(len(slices), -1)
    content, _ = translator.encode(intensities(slices.to(device)), "source")
    pixels = ((translator.decode(content, code) + 1) * 127.5).round().to(torch.uint8).cpu()
    return pixels.transpose(0, 1) if image.ndim == 4 else pixels[0]
