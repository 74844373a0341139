"""Initialisation between random and pretrained: the moments of pretrained weights, not their patterns."""

from __future__ import annotations

import torch
from torch import nn

from medtl_core.backbones.zoo import head_of


def mean_var_init(network: nn.Module, seed: int) -> nn.Module:
    """Replace every parameter tensor but the head's by normal draws with its own mean and standard deviation.

    "Mean Var" initialisation (Raghu et al. 2019, arXiv 1902.07208): scale and offset of each layer's
    pretrained weights stay, and whatever their arrangement says about images is lost. Running statistics of
    batch norm go back to mean 0 and variance 1, since they describe features that no longer exist. Changes
    `network` in place and gives it back; the global random state stays as it is.
    """
    generator = torch.Generator().manual_seed(seed)
    head = {id(parameter) for parameter in head_of(network).parameters()}
    with torch.no_grad():
        for parameter in network.parameters():
            if id(parameter) in head:
                continue
            draws = torch.randn(parameter.shape, generator=generator).to(parameter.device)
            spread = parameter.std() if parameter.numel() > 1 else parameter.new_zeros(())
            parameter.copy_(parameter.mean() + spread * draws)
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._NormBase):
            module.reset_running_stats()
    return network
