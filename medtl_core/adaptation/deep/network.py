"""A network in two parts, an extractor that is adapted and a classifier on its features."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from medtl_core.backbones import zoo
from medtl_core.backbones.stages import cut_named, prefix
from medtl_core.backbones.zoo import Backbone
from medtl_core.data.tensors import DeviceDataset
from medtl_core.errors import MedtlError
from medtl_core.training.features import FeatureSet
from medtl_core.training.prediction import evaluation_mode


class AdaptableNetwork(nn.Module):
    """Inputs -> `extractor` -> features (N, D) -> `classifier` -> logits (N, K).

    D is `num_features`, K `num_classes`.
    """

    def __init__(
        self, extractor: nn.Module, classifier: nn.Module, num_features: int, num_classes: int
    ) -> None:
        super().__init__()
        self.extractor = extractor
        self.classifier = classifier
        self.num_features = num_features
        self.num_classes = num_classes

    def forward(self, x: Tensor) -> Tensor:
        """Inputs -> logits (N, K)."""
        logits: Tensor = self.classifier(self.extractor(x))
        return logits


def in_one_batch(module: nn.Module, *domains: Tensor) -> tuple[Tensor, ...]:
    """Outputs for inputs (n_i, ...) of each domain; all pass in one batch, so batch norm sees them all."""
    outputs: tuple[Tensor, ...] = module(torch.cat(domains)).split([len(x) for x in domains])
    return outputs


class _PooledFeatures(nn.Module):
    """A backbone without its head: images -> pooled features (N, D)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return zoo.pooled_features(self.network, x)


def feature_network(
    shape: tuple[int, ...], num_classes: int, *, seed: int, width: int = 64
) -> AdaptableNetwork:
    """A small network for cached features: one layer of `width` units with batch norm, then a linear head.

    shape: (d,) for vectors, which get a dense layer, or (C, h, w) for activations of a frozen prefix, which
    get a 3 x 3 convolution and global average pooling. `seed` fixes the weights and leaves the global random
    state alone. Raises MedtlError for another shape.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if len(shape) == 1:
            extractor = nn.Sequential(nn.Linear(shape[0], width), nn.BatchNorm1d(width), nn.ReLU())
        elif len(shape) == 3:
            extractor = nn.Sequential(
                nn.Conv2d(shape[0], width, 3, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
                nn.AdaptiveAvgPool2d(1),
                nn.Flatten(),
            )
        else:
            raise MedtlError(f"feature_network: shape {shape} of a case, expected (d,) or (C, h, w)")
        return AdaptableNetwork(extractor, nn.Linear(width, num_classes), width, num_classes)


def image_network(backbone: Backbone) -> AdaptableNetwork:
    """A copy of `backbone` for images: everything below its head as extractor, the head as classifier."""
    network = copy.deepcopy(backbone.network)
    head = zoo.head_of(network)
    path = next(name for name, module in network.named_modules() if module is head)
    parent, _, name = path.rpartition(".")
    setattr(network.get_submodule(parent), name, nn.Identity())
    return AdaptableNetwork(_PooledFeatures(network), head, head.in_features, head.out_features)


def prefix_features(backbone: Backbone, data: DeviceDataset, cut: str, batch_size: int = 256) -> FeatureSet:
    """Activations (N, C, h, w) of the frozen prefix of `backbone` up to the cut point named `cut`.

    The prefix moves to the device of the data and computes in evaluation mode. Errors as `cut_named`.
    """
    network = backbone.network.to(data.labels.device)
    with evaluation_mode(network):
        lower = prefix(network, cut_named(network, cut))
        starts = range(0, len(data), batch_size)
        parts = [lower(data.inputs(slice(i, i + batch_size), backbone.normalisation)) for i in starts]
    return FeatureSet(torch.cat(parts).contiguous(), data.labels)
