"""What a network says about a data set, without changing the network."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from medtl_core.data.tensors import Normalisation


class Data(Protocol):
    """Labelled inputs that live on one device: a `DeviceDataset` of images, or a `FeatureSet`."""

    @property
    def labels(self) -> Tensor: ...

    def __len__(self) -> int: ...

    def inputs(self, index: Tensor | slice, normalisation: Normalisation | None) -> Tensor: ...


def predict(
    network: nn.Module, data: Data, normalisation: Normalisation | None, batch_size: int = 256
) -> np.ndarray:
    """Soft-max probabilities (N, K), float64, in the order of `data`, in evaluation mode and full precision.

    The modes of the network's modules are put back afterwards.
    """
    logits = logits_of(network, data, normalisation, batch_size)
    return functional.softmax(logits.double(), dim=1).cpu().numpy()


@contextmanager
def evaluation_mode(network: nn.Module) -> Iterator[None]:
    """Every module in evaluation mode and no gradients, for the length of a block."""
    with modes_of_evaluation(network), torch.no_grad():
        yield


@contextmanager
def modes_of_evaluation(network: nn.Module) -> Iterator[None]:
    """Every module in evaluation mode for the length of a block; each gets its own mode back."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def logits_of(network: nn.Module, data: Data, normalisation: Normalisation | None, batch_size: int) -> Tensor:
    """Logits (N, K) in the order of `data`, in evaluation mode, on its device."""
    starts = range(0, len(data), batch_size)
    with evaluation_mode(network):
        return torch.cat([network(data.inputs(slice(i, i + batch_size), normalisation)) for i in starts])
