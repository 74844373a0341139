"""Pooled features of a frozen backbone, computed once: linear probes then need no pass through the backbone.

A probe on some of the training cases, with the head, the batches and (up to rounding) the result of
`LINEAR_PROBE` on the whole network without augmentation:

    features, val = FeatureSet.of(backbone, train), FeatureSet.of(backbone, val)
    head = copy.deepcopy(head_of(backbone.network))
    fit(head, SCRATCH, features.select(index), val, None, config, seed=seed)
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from medtl_core.backbones import zoo
from medtl_core.backbones.zoo import Backbone
from medtl_core.data.tensors import DeviceDataset, Normalisation
from medtl_core.training.prediction import evaluation_mode


@dataclass(frozen=True)
class FeatureSet:
    """Features (N, D) float32 and labels (N,) int64 on one device: `fit` and `predict` take it for images."""

    features: Tensor
    labels: Tensor

    @classmethod
    def of(cls, backbone: Backbone, data: DeviceDataset) -> "FeatureSet":
        """Pooled features of all images of `data`."""
        return cls(pooled_features(backbone, data), data.labels)

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, index: Tensor | np.ndarray) -> "FeatureSet":
        """The cases of `index` (M,), in its order."""
        chosen = torch.as_tensor(index, dtype=torch.int64, device=self.labels.device)
        return FeatureSet(self.features[chosen], self.labels[chosen])

    def inputs(self, index: Tensor | slice, normalisation: Normalisation | None = None) -> Tensor:
        """Features (n, D) of some cases; `normalisation` is for images and changes nothing here."""
        return self.features[index]


def pooled_features(backbone: Backbone, data: DeviceDataset, batch_size: int = 256) -> Tensor:
    """What the head would receive: images -> features (N, D) float32, on the device of `data`.

    The network moves there, computes in evaluation mode, and has its modes back afterwards.
    """
    network = backbone.network.to(data.labels.device)
    with evaluation_mode(network):
        batches = [
            zoo.pooled_features(network, data.inputs(slice(i, i + batch_size), backbone.normalisation))
            for i in range(0, len(data), batch_size)
        ]
    return torch.cat(batches)
