"""Deep CORAL: the covariances of source and target outputs are brought together (Sun & Saenko 2016)."""

import torch
from torch import Tensor
from torch.nn import functional

from medtl_core.adaptation.deep.batches import paired_batches
from medtl_core.adaptation.deep.network import AdaptableNetwork, in_one_batch
from medtl_core.adaptation.deep.unlabelled import Labelled, Unlabelled
from medtl_core.adaptation.deep.updates import AdaptationConfig, Adapted, Updates, training_copy
from medtl_core.data.tensors import Normalisation


def coral_loss(source: Tensor, target: Tensor) -> Tensor:
    """||C_S - C_T||_F^2 / (4 d^2) with the covariances of source (n, d) and target (m, d) (eq. 1 to 3)."""
    d = source.shape[1]
    difference = torch.cov(source.T).view(d, d) - torch.cov(target.T).view(d, d)
    return difference.square().sum() / (4 * d**2)


def train_deep_coral(
    network: AdaptableNetwork,
    source: Labelled,
    target: Unlabelled,
    normalisation: Normalisation | None,
    config: AdaptationConfig,
    *,
    seed: int,
    trade_off: float = 1.0,
) -> Adapted:
    """Train a copy of `network` with cross-entropy on the source + `trade_off` * CORAL loss of the logits.

    The paper applies the loss to the last dense layer. Source and target pass through the network in one
    batch, so batch norm sees both. History: `loss`, `classification`, `coral`. Errors as `paired_batches`.
    """
    with training_copy(network, [source], seed) as trained:
        updates = Updates(trained.parameters(), config, watched=trained)
        for x_s, y_s, x_t in paired_batches(source, target, normalisation, config, seed):
            z_s, z_t = in_one_batch(trained, x_s, x_t)
            classification = functional.cross_entropy(z_s, y_s)
            coral = coral_loss(z_s, z_t)
            updates.step(classification + trade_off * coral, classification=classification, coral=coral)
    return Adapted(trained, updates.history())
