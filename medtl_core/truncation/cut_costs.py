"""What a network would cost if it were cut at each of its cut points."""

from __future__ import annotations

from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from medtl_core.backbones.cost import COUNTING_BATCH, Cost
from medtl_core.backbones.families import units
from medtl_core.backbones.meta_device import call_on_meta_device


def costs_of_cuts(network: nn.Module, image_size: int, num_classes: int) -> list[Cost]:
    """Cost for one image of `image_size` pixels of each truncated network with a pooled head, in order.

    Equal to `cost(truncate(backbone, cut, ...).network, (1, 3, image_size, image_size))` for every cut point,
    in one walk through the network; all parameters train. Nothing is computed.

    Raises MedtlError for a network of an unknown family.
    """
    costs = []
    parameters = macs = 0
    shape = (COUNTING_BATCH, 3, image_size, image_size)
    for unit in units(network):
        part = nn.Sequential(*unit.steps(network))
        with FlopCounterMode(display=False) as counter:
            shape = tuple(call_on_meta_device(part, shape).shape)
        parameters += sum(p.numel() for p in part.parameters())
        macs += counter.get_total_flops() // (2 * COUNTING_BATCH)
        head = shape[1] * num_classes
        costs.append(Cost(parameters + head + num_classes, parameters + head + num_classes, macs + head))
    return costs
