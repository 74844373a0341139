"""Run a module without data: shapes and counts from the meta device, without arithmetic."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.func import functional_call


def call_on_meta_device(module: nn.Module, input_shape: tuple[int, int, int, int]) -> Any:
    """What `module` returns for an input (N, C, H, W), as tensors that have a shape but no values.

    Parameters and buffers are replaced for the call, so the module's weights, batch-norm statistics and
    mode stay as they are. A module in training mode needs N > 1 (batch norm refuses a single value per
    channel).
    """
    tensors = [*module.named_parameters(), *module.named_buffers()]
    on_meta = {name: tensor.to("meta") for name, tensor in tensors}
    return functional_call(module, on_meta, (torch.empty(input_shape, device="meta"),))
