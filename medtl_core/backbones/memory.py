"""How much memory a forward pass needs: counted tensor by tensor, or read from the CUDA allocator."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from medtl_core.backbones.inference import inference_copy, noise_images, outputs
from medtl_core.errors import MedtlError


def counted_peak_bytes(network: nn.Module, input_shape: tuple[int, int, int, int]) -> int:
    """Bytes that must be held at once to run a batch (N, C, H, W) through `network`, on whatever machine.

    Counted are the storages of parameters and buffers, of the input (held throughout, as a caller holds it),
    and of every tensor that an operation returns, from then until nothing refers to it any more; a view or an
    operation in place adds nothing. The pass is in evaluation mode without gradients. What libraries take
    inside one operation (workspaces, packed copies), padding by the allocator and the program itself are not
    counted: this is the least that is needed, and it grows with the batch as the true need does.

    Raises MedtlError if the shape is not (N, C, H, W) or the network refuses it.
    """
    copied, images = inference_copy(network), noise_images(input_shape)
    # inside inference mode composite operations would arrive whole and hide what they allocate
    with torch.no_grad(), _LiveBytes([*copied.parameters(), *copied.buffers(), images]) as live:
        outputs(copied, images)
    return live.peak


def allocated_peak_bytes(
    network: nn.Module, input_shape: tuple[int, int, int, int], device: torch.device | str = "cuda"
) -> int:
    """Bytes that PyTorch's CUDA allocator holds at most for `network` and a batch (N, C, H, W), once warm.

    Parameters, buffers, input, activations and those workspaces of the libraries that go through the
    allocator, in evaluation mode without gradients, above what was allocated before the call. The CUDA
    context and cached free blocks are not in it.

    Raises MedtlError for a device that is not CUDA or not there, and for shapes as `counted_peak_bytes`.
    """
    if torch.device(device).type != "cuda":
        raise MedtlError(f"allocated peak: device is {device!s}, expected cuda; use counted_peak_bytes")
    images = noise_images(input_shape)
    before = torch.cuda.memory_allocated(device) if torch.cuda.is_available() else 0
    copied, images = inference_copy(network, device), images.to(device)
    outputs(copied, images)
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    outputs(copied, images)
    torch.cuda.synchronize(device)
    return int(torch.cuda.max_memory_allocated(device)) - before


class _LiveBytes(TorchDispatchMode):
    """Follows the storages of `held` and of all that operations return; `peak`: most bytes alive at once."""

    def __init__(self, held: Iterable[Tensor]) -> None:
        super().__init__()
        self._alive: dict[StorageWeakRef, int] = {}
        self.peak = 0
        self._follow(held)

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        self._follow(leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor))
        return result

    def _follow(self, tensors: Iterable[Tensor]) -> None:
        for tensor in tensors:
            storage = tensor.untyped_storage()
            self._alive[StorageWeakRef(storage)] = storage.nbytes()
        self._alive = {ref: size for ref, size in self._alive.items() if not ref.expired()}
        self.peak = max(self.peak, sum(self._alive.values()))
