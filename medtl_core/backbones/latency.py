"""What a network costs where it runs: seconds for each batch, and with size and memory its footprint.

"Compact" and "efficient" are several numbers, and they need not agree: a network with few parameters can be
slow, and one with few multiply-accumulates can need much memory.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn

from medtl_core.backbones.cost import cost
from medtl_core.backbones.inference import inference_copy, noise_images, outputs
from medtl_core.backbones.memory import counted_peak_bytes
from medtl_core.errors import MedtlError

BATCH_SIZES = (1, 8, 32)


@dataclass(frozen=True)
class Latency:
    """Seconds of a forward pass of one batch: median of `repeats` passes, and the quartiles around it."""

    median: float
    low: float
    high: float
    repeats: int


@dataclass(frozen=True)
class Footprint:
    """The costs of a network for images of one size.

    parameters: their number; macs: multiply-accumulates for one image (`cost`); seconds_by_batch: median
    seconds of a forward pass for each batch size (`measure_latency`), which hold for `device` and `threads`
    (of the CPU) alone; peak_bytes: memory to run one image (`counted_peak_bytes`); disk_bytes: the file
    (`size_on_disk`).
    """

    parameters: int
    macs: int
    seconds_by_batch: dict[int, float]
    peak_bytes: int
    disk_bytes: int
    device: str
    threads: int


def footprint(
    network: nn.Module,
    input_shape: tuple[int, int, int],
    *,
    batch_sizes: Sequence[int] = BATCH_SIZES,
    warmup: int = 3,
    repeats: int = 20,
    device: torch.device | str = "cpu",
) -> Footprint:
    """All costs of `network` for images of `input_shape` = (C, H, W). The network is left as it was.

    Only the seconds are measured on `device`; the other numbers do not depend on it.
    Raises MedtlError as `measure_latency` does.
    """
    latencies = measure_latency(network, input_shape, batch_sizes, warmup, repeats, device)
    counted = cost(network, (1, *input_shape))
    return Footprint(
        parameters=counted.parameters,
        macs=counted.macs,
        seconds_by_batch={size: latency.median for size, latency in latencies.items()},
        peak_bytes=counted_peak_bytes(network, (1, *input_shape)),
        disk_bytes=size_on_disk(network),
        device=str(torch.device(device)),
        threads=torch.get_num_threads(),
    )


def measure_latency(
    network: nn.Module,
    input_shape: tuple[int, int, int],
    batch_sizes: Sequence[int] = BATCH_SIZES,
    warmup: int = 3,
    repeats: int = 20,
    device: torch.device | str = "cpu",
) -> dict[int, Latency]:
    """Seconds of a forward pass for each batch size, for images of `input_shape` = (C, H, W), once warm.

    A copy of the network computes on noise that is already on `device`, in evaluation mode, inference mode,
    channels_last and single precision, on as many threads as torch has. Each of `repeats` passes is timed for
    itself after `warmup` others; on CUDA the device is waited for before and after. Passes share the
    machine with whatever else runs: compare networks within one run, and look at the quartiles.

    Raises MedtlError for a shape that is not (C, H, W) or that the network refuses, batch sizes, warmup
    or repeats below 1, and a device that is not there.
    """
    if len(input_shape) != 3 or min(input_shape) < 1:
        raise MedtlError(
            f"latency: input_shape is {tuple(input_shape)}, expected (channels, height, width) of one image; "
            "the batch sizes are given apart"
        )
    if not batch_sizes or min(batch_sizes) < 1:
        raise MedtlError(f"latency: batch_sizes are {tuple(batch_sizes)}, expected one or more, from 1 on")
    if min(warmup, repeats) < 1:
        raise MedtlError(f"latency: warmup is {warmup} and repeats is {repeats}, expected 1 or more of each")
    copied = inference_copy(network, device)
    latencies = {}
    for size in batch_sizes:
        images = noise_images((size, *input_shape), device)
        for _ in range(warmup):
            outputs(copied, images)
        with torch.inference_mode():
            seconds = [_seconds_of_a_pass(copied, images) for _ in range(repeats)]
        low, median, high = np.quantile(seconds, (0.25, 0.5, 0.75))
        latencies[size] = Latency(float(median), float(low), float(high), repeats)
    return latencies


def size_on_disk(network: nn.Module) -> int:
    """Bytes of all parameters and buffers of `network` as one safetensors file, its header included."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    return len(save(state))


def _seconds_of_a_pass(network: nn.Module, images: Tensor) -> float:
    _wait_for(images.device)
    started = time.perf_counter()
    network(images)
    _wait_for(images.device)
    return time.perf_counter() - started


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
