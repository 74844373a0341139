"""Target cases without labels: what a method of unsupervised adaptation is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from medtl_core.data.tensors import DeviceDataset, Normalisation, replicate_grey
from medtl_core.errors import MedtlError
from medtl_core.training.features import FeatureSet
from medtl_core.training.prediction import evaluation_mode

Labelled = DeviceDataset | FeatureSet


@dataclass(frozen=True)
class Unlabelled:
    """Images uint8 (N, C, H, W) or features float32 (N, ...) on one device, and nothing else."""

    cases: Tensor

    @classmethod
    def of(cls, data: Labelled) -> Unlabelled:
        """The cases of `data` in their order; the labels stay behind."""
        return cls(data.images if isinstance(data, DeviceDataset) else data.features)

    def __len__(self) -> int:
        return len(self.cases)

    def inputs(self, index: Tensor | slice, normalisation: Normalisation | None = None) -> Tensor:
        """Network inputs of some cases, exactly as those of a labelled set; features stay as they are."""
        if not self._are_images:
            return self.cases[index]
        chosen = self.cases[index]
        return DeviceDataset(chosen, _no_labels(chosen)).inputs(slice(None), normalisation)

    def with_labels(self, index: Tensor, labels: Tensor) -> Labelled:
        """The cases of `index` (M,) with given labels (M,), such as a network's own guesses."""
        chosen = self.cases[index]
        return DeviceDataset(chosen, labels) if self._are_images else FeatureSet(chosen, labels)

    def probabilities(
        self, network: nn.Module, normalisation: Normalisation | None, batch_size: int = 256
    ) -> Tensor:
        """Soft-max probabilities (N, K), float64, in the order of the cases and in evaluation mode."""
        starts = range(0, len(self), batch_size)
        with evaluation_mode(network):
            logits = [network(self.inputs(slice(i, i + batch_size), normalisation)) for i in starts]
        return functional.softmax(torch.cat(logits).double(), dim=1)

    @property
    def _are_images(self) -> bool:
        return self.cases.dtype == torch.uint8


def combined(sources: Sequence[Labelled]) -> Labelled:
    """All sources as one, in their order: the source-combined baseline of multi-source adaptation.

    Grey images become three equal channels where another source has colour. Raises MedtlError for no source,
    for images next to features and for shapes that differ.
    """
    if not sources:
        raise MedtlError("combined: no source found, expected at least one")
    labels = torch.cat([source.labels for source in sources])
    images = [source.images for source in sources if isinstance(source, DeviceDataset)]
    features = [source.features for source in sources if isinstance(source, FeatureSet)]
    if images and features:
        raise MedtlError("combined: images and features found, expected one kind in all sources")
    if images and any(part.shape[1] == 3 for part in images):
        images = [replicate_grey(part) if part.shape[1] == 1 else part for part in images]
    parts = images or features
    if len({part.shape[1:] for part in parts}) > 1:
        found = ", ".join(str(tuple(part.shape[1:])) for part in parts)
        raise MedtlError(f"combined: cases of shapes {found}, expected one shape; bring them to one size")
    cases = torch.cat(parts)
    return DeviceDataset(cases, labels) if images else FeatureSet(cases, labels)


def _no_labels(cases: Tensor) -> Tensor:
    return torch.empty(0, dtype=torch.int64, device=cases.device)
