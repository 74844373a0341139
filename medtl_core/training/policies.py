"""Training policies: which parts of a network train, when, and at which rate.

A policy turns a network into phases; a training loop goes through them in order and calls `set_mode` at the
start of every epoch (and after anything that called `network.train()` or `.eval()`). Frozen means frozen:
no gradients, and modules in evaluation mode, so batch-norm statistics and dropout stand still as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypedDict

from torch import nn

from medtl_core.backbones.families import units
from medtl_core.backbones.stages import position_of, stage_names
from medtl_core.backbones.zoo import head_of
from medtl_core.errors import MedtlError

WHOLE_NETWORK = ""  # the dotted path of the root module


class ParameterGroup(TypedDict):
    """Parameters (dotted names) that share a learning rate.

    lr_scale multiplies the loop's learning rate; decay is False for norms and biases, which take no weight
    decay.
    """

    params: list[str]
    lr_scale: float
    decay: bool


@dataclass(frozen=True)
class Phase:
    """A share of the epochs (0 to 1] in which the parameters of `param_groups` train, and no others.

    frozen: dotted paths of modules kept in evaluation mode, `WHOLE_NETWORK` for all of it.
    """

    frozen: tuple[str, ...]
    param_groups: list[ParameterGroup]
    share: float = 1.0


@dataclass(frozen=True)
class Policy:
    """A named policy; `pretrained` says whether it starts from pretrained weights."""

    name: str
    pretrained: bool
    plan: Callable[[nn.Module], list[Phase]] = field(repr=False)

    def phases(self, network: nn.Module) -> list[Phase]:
        """Phases for `network`; their shares sum to 1.

        Raises MedtlError where a policy needs stages and the network's family is unknown or has too few of
        them.
        """
        return self.plan(network)


def set_mode(network: nn.Module, phase: Phase) -> None:
    """Training mode for what trains in `phase`, evaluation mode for what is frozen, gradients to match."""
    network.train()
    for path in phase.frozen:
        network.get_submodule(path).eval()
    trained = {name for group in phase.param_groups for name in group["params"]}
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in trained)
        if name not in trained:
            parameter.grad = None


def optimizer_groups(
    network: nn.Module, phase: Phase, learning_rate: float, weight_decay: float
) -> list[dict[str, Any]]:
    """The phase's groups as a torch optimiser takes them: `AdamW(optimizer_groups(...))`."""
    parameters = dict(network.named_parameters())
    return [
        {
            "params": [parameters[name] for name in group["params"]],
            "lr": learning_rate * group["lr_scale"],
            "weight_decay": weight_decay if group["decay"] else 0.0,
        }
        for group in phase.param_groups
    ]


def last_stages(k: int) -> Policy:
    """Train the head and the last k (at least 1) of `stage_modules`; the earlier ones are frozen."""
    if k < 1:
        raise MedtlError(
            f"policy last_stages: k is {k}, expected at least 1; linear_probe trains the head alone"
        )
    return Policy(f"last_stages_{k}", True, partial(_last_stages, k=k))


def discriminative(decay: float = 1 / 2.6) -> Policy:
    """Train everything, each stage at `decay` times the rate of the one above it; the head at the full rate.

    Howard & Ruder 2018, section 3.2: the rate of layer l-1 is that of layer l divided by 2.6; here layers
    are stages.
    """
    if not 0 < decay <= 1:
        raise MedtlError(f"policy discriminative: decay is {decay}, expected above 0 and at most 1")
    name = "discriminative" if decay == 1 / 2.6 else f"discriminative_{decay:g}"
    return Policy(name, True, partial(_discriminative, decay=decay))


def frozen_below(cut: str) -> Policy:
    """Layer-wise fine-tuning: all units up to the cut point of that name are frozen, the rest trains.

    Peng et al. 2022 (arXiv 2106.05152) leave batch-norm statistics of the frozen part moving and train what
    is above at a tenth of the head's rate; here frozen means frozen, and the rest trains at one rate.
    """
    return Policy(f"frozen_below_{cut}", True, partial(_frozen_below, cut=cut))


def policy_named(name: str) -> Policy:
    """The policy of that name, such as full or last_stages_2. Raises MedtlError that lists the names."""
    for policy in (SCRATCH, LINEAR_PROBE, FULL, PROBE_THEN_FULL, discriminative()):
        if policy.name == name:
            return policy
    if match := re.fullmatch(r"last_stages_(\d+)", name):
        return last_stages(int(match[1]))
    if match := re.fullmatch(r"frozen_below_(\S+)", name):
        return frozen_below(match[1])
    if match := re.fullmatch(r"discriminative_(\d*\.?\d+)", name):
        return discriminative(float(match[1]))
    raise MedtlError(
        f"policy: found {name!r}, expected scratch, linear_probe, full, probe_then_full, last_stages_K, "
        "frozen_below_CUT, discriminative or discriminative_DECAY (0 to 1)"
    )


def _everything(network: nn.Module) -> list[Phase]:
    return [Phase((), _grouped(network, {name: 1.0 for name, _ in network.named_parameters()}))]


def _probe(network: nn.Module) -> list[Phase]:
    head = {id(parameter) for parameter in head_of(network).parameters()}
    rates = {name: 1.0 for name, parameter in network.named_parameters() if id(parameter) in head}
    return [Phase((WHOLE_NETWORK,), _grouped(network, rates))]


def _probe_then_full(network: nn.Module) -> list[Phase]:
    (probe,), (full,) = _probe(network), _everything(network)
    return [Phase(probe.frozen, probe.param_groups, 0.5), Phase(full.frozen, full.param_groups, 0.5)]


def _last_stages(network: nn.Module, k: int) -> list[Phase]:
    stages = stage_names(network)
    if k > len(stages):
        raise MedtlError(
            f"policy last_stages_{k}: {type(network).__name__} has {len(stages)} stages, "
            f"expected k of at most {len(stages)}"
        )
    return _frozen(network, [path for stage in stages[: len(stages) - k] for path in stage])


def _frozen_below(network: nn.Module, cut: str) -> list[Phase]:
    below = units(network)[: position_of(network, cut) + 1]
    return _frozen(network, [path for unit in below for path in unit.modules])


def _frozen(network: nn.Module, paths: list[str]) -> list[Phase]:
    rates = {name: 1.0 for name, _ in network.named_parameters() if not _inside(name, paths)}
    return [Phase(tuple(paths), _grouped(network, rates))]


def _discriminative(network: nn.Module, decay: float) -> list[Phase]:
    rates = {name: 1.0 for name, _ in network.named_parameters()}
    for below_head, stage in enumerate(reversed(stage_names(network)), start=1):
        rates.update({name: decay**below_head for name in rates if _inside(name, stage)})
    return [Phase((), _grouped(network, rates))]


def _inside(name: str, paths: list[str]) -> bool:
    return name.startswith(tuple(f"{path}." for path in paths))


def _grouped(network: nn.Module, rates: dict[str, float]) -> list[ParameterGroup]:
    parameters = dict(network.named_parameters())
    groups: dict[tuple[float, bool], ParameterGroup] = {}
    for name, rate in rates.items():
        decay = parameters[name].ndim > 1  # norm scales and biases are vectors
        group = groups.setdefault((rate, decay), ParameterGroup(params=[], lr_scale=rate, decay=decay))
        group["params"].append(name)
    return list(groups.values())


SCRATCH = Policy("scratch", False, _everything)
"""Random weights, everything trains."""
LINEAR_PROBE = Policy("linear_probe", True, _probe)
"""Pretrained and frozen, batch norm and dropout included; the linear head trains."""
FULL = Policy("full", True, _everything)
"""Full fine-tuning: pretrained, everything trains at one rate."""
PROBE_THEN_FULL = Policy("probe_then_full", True, _probe_then_full)
"""LP-FT (Kumar et al. 2022): a linear probe, then full fine-tuning; half of the epochs each (our choice)."""
