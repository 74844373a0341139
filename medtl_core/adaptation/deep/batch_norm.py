"""Batch-norm adaptation: means and variances of the target (AdaBN, Li et al. 2016)."""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from medtl_core.adaptation.deep.batches import require_adaptable
from medtl_core.adaptation.deep.network import AdaptableNetwork
from medtl_core.adaptation.deep.source_only import train_source_only
from medtl_core.adaptation.deep.unlabelled import Labelled, Unlabelled
from medtl_core.adaptation.deep.updates import AdaptationConfig, Adapted
from medtl_core.data.tensors import Normalisation
from medtl_core.errors import MedtlError
from medtl_core.training.prediction import evaluation_mode


def adapt_batch_norm(
    network: AdaptableNetwork,
    target: Unlabelled,
    normalisation: Normalisation | None,
    batch_size: int = 256,
) -> AdaptableNetwork:
    """A copy of `network` whose batch norms hold mean and variance of all target cases (algorithm 1).

    From the input upwards, each layer gets the moments of what arrives from layers that are adapted already,
    with one pass through the target a layer. The result depends neither on order nor on batches. No weight is
    changed. The copy is in evaluation mode. Raises MedtlError for a network without batch norm and for fewer
    than two cases.
    """
    if len(target) < 2:
        raise MedtlError(f"batch-norm adaptation: {len(target)} target cases, expected at least 2")
    adapted = copy.deepcopy(network).to(target.cases.device).eval()
    layers = [module for module in adapted.modules() if _has_statistics(module)]
    if not layers:
        raise MedtlError(
            "batch-norm adaptation: the network has no batch norm with running statistics, expected one or "
            "more; choose another network"
        )
    starts = range(0, len(target), batch_size)
    inputs = [target.inputs(slice(i, i + batch_size), normalisation) for i in starts]
    for layer in _in_order_of_use(adapted, layers, inputs[0][:1]):
        moments = _Moments()
        hook = layer.register_forward_pre_hook(moments.add)
        with evaluation_mode(adapted):
            for x in inputs:
                adapted(x)
        hook.remove()
        layer.running_mean.copy_(moments.mean)
        layer.running_var.copy_(moments.variance)
    return adapted


def train_adabn(
    network: AdaptableNetwork,
    source: Labelled,
    target: Unlabelled,
    normalisation: Normalisation | None,
    config: AdaptationConfig,
    *,
    seed: int,
) -> Adapted:
    """Train on the source, then `adapt_batch_norm`. History: `loss`. Errors as `paired_batches` and
    `adapt_batch_norm`."""
    require_adaptable([source], target, config)
    trained = train_source_only(network, source, normalisation, config, seed=seed)
    return Adapted(adapt_batch_norm(trained.network, target, normalisation), trained.history)


class _Moments:
    """Mean and variance per channel of everything that arrives at a layer, in float64."""

    def __init__(self) -> None:
        self.count, self.sum, self.sum_of_squares = 0, torch.zeros(()), torch.zeros(())

    def add(self, layer: nn.Module, arrived: tuple[Tensor, ...]) -> None:
        values = arrived[0].double().transpose(0, 1).flatten(1)
        self.count += values.shape[1]
        self.sum = self.sum.to(values) + values.sum(1)
        self.sum_of_squares = self.sum_of_squares.to(values) + values.square().sum(1)

    @property
    def mean(self) -> Tensor:
        return self.sum / self.count

    @property
    def variance(self) -> Tensor:
        """Unbiased, as batch norm keeps it."""
        biased = (self.sum_of_squares / self.count - self.mean.square()).clamp(min=0)
        return biased * self.count / (self.count - 1)


def _has_statistics(module: nn.Module) -> bool:
    return isinstance(module, _BatchNorm) and module.running_mean is not None


def _in_order_of_use(network: nn.Module, layers: list[nn.Module], x: Tensor) -> list[Any]:
    used: list[Any] = []
    hooks = [layer.register_forward_pre_hook(lambda module, _: used.append(module)) for layer in layers]
    with evaluation_mode(network):
        network(x)
    for hook in hooks:
        hook.remove()
    return used
