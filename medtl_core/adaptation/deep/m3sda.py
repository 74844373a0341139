"""Moment matching for multi-source adaptation (M3SDA, Peng et al., ICCV 2019), from its equation."""

import copy
import math
from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor, nn
from torch.nn import functional

from medtl_core.adaptation.deep.batches import multi_source_batches
from medtl_core.adaptation.deep.network import AdaptableNetwork, in_one_batch
from medtl_core.adaptation.deep.unlabelled import Labelled, Unlabelled
from medtl_core.adaptation.deep.updates import AdaptationConfig, Adapted, Updates, training_copy
from medtl_core.data.tensors import Normalisation


def moment_distance(sources: Sequence[Tensor], target: Tensor, orders: int = 2) -> Tensor:
    """How far the raw moments of N sources and the target lie apart, summed over k = 1 to `orders` (eq. 1).

    sources: N tensors (n_i, d); target (m, d). For each k the mean over the N sources of
    ||E(X_i^k) - E(X_T^k)||_2, plus the mean over the N (N - 1) / 2 pairs of ||E(X_i^k) - E(X_j^k)||_2. The
    norm is not squared. The authors' public code computes something else (domain four enters no mean).
    """
    total = target.new_zeros(())
    for k in range(1, orders + 1):
        means = [source.pow(k).mean(0) for source in sources]
        of_target = target.pow(k).mean(0)
        to_target = [torch.linalg.vector_norm(mean - of_target) for mean in means]
        between = [torch.linalg.vector_norm(a - b) for a, b in combinations(means, 2)]
        total = total + torch.stack(to_target).mean() + torch.stack(between).mean()
    return total


class AveragedClassifiers(nn.Module):
    """Features (N, D) -> logarithm (N, K) of the mean soft-max probability of several classifiers.

    Soft-max of the result gives that mean.
    """

    def __init__(self, classifiers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.classifiers = nn.ModuleList(classifiers)

    def forward(self, features: Tensor) -> Tensor:
        logs = torch.stack([functional.log_softmax(c(features), dim=1) for c in self.classifiers])
        return logs.logsumexp(0) - math.log(len(self.classifiers))


def train_m3sda(
    network: AdaptableNetwork,
    sources: Sequence[Labelled],
    target: Unlabelled,
    normalisation: Normalisation | None,
    config: AdaptationConfig,
    *,
    seed: int,
    trade_off: float = 0.1,
    orders: int = 2,
) -> Adapted:
    """Train a copy of `network` with a classifier for each source + `trade_off` * moment distance (eq. 4).

    At prediction the classifiers' probabilities are averaged: weights by accuracy on the target, the paper's
    alternative, would need its labels. All domains pass through the extractor in one batch. History: `loss`,
    `classification` (sum over sources), `moments`. Errors as `multi_source_batches`.
    """
    batches = multi_source_batches(sources, target, normalisation, config, seed)
    with training_copy(network, sources, seed) as trained:
        classifiers = [copy.deepcopy(trained.classifier) for _ in sources]
        trained.classifier = AveragedClassifiers(classifiers)
        updates = Updates(trained.parameters(), config, watched=trained)
        for labelled, x_t in batches:
            *f_s, f_t = in_one_batch(trained.extractor, *(x for x, _ in labelled), x_t)
            losses = [
                functional.cross_entropy(classifier(f), y)
                for classifier, f, (_, y) in zip(classifiers, f_s, labelled, strict=True)
            ]
            classification = torch.stack(losses).sum()
            moments = moment_distance(f_s, f_t, orders)
            updates.step(classification + trade_off * moments, classification=classification, moments=moments)
    return Adapted(trained, updates.history())
