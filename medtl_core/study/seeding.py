"""Same seed, same machine, same result: seeds, deterministic algorithms and the choice of device.

torch is imported only where a function of this file needs it.
"""

import os
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from medtl_core import settings
from medtl_core.errors import MedtlError

if TYPE_CHECKING:
    import torch

# cuBLAS reads this once, when CUDA starts; without it deterministic matrix products raise.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch (every device), and allow deterministic algorithms only.

    Two runs with one seed then give bit-identical results on a CPU if they also use the same number of
    threads (sums are split over threads). `seed` is a whole number from 0 to 2**32 - 1, else MedtlError.
    An operation that has no deterministic form raises torch's RuntimeError, which names it. A process that
    has not imported torch leaves it alone.
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**32:
        raise MedtlError(f"seed is {seed!r}, expected a whole number from 0 to 4294967295")
    random.seed(int(seed))
    np.random.seed(int(seed))  # noqa: NPY002 - libraries that draw from NumPy's global state
    if "torch" in sys.modules:
        _seed_torch(int(seed))


def _seed_torch(seed: int) -> None:
    import torch

    torch.manual_seed(seed)
    # As `use_deterministic_algorithms(True)`, which would import torch's compiler as well, for seconds.
    torch.set_deterministic_debug_mode("error")
    # Filling every fresh tensor with NaN finds bugs, but costs a pass over memory for each.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """`seed_everything` for the length of a block; the random states and modes found before are put back.

    What a notebook draws after a study is then the same whether the study ran or was read from its store.
    """
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    with _torch_state_kept():
        try:
            seed_everything(seed)
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)  # noqa: NPY002


@contextmanager
def _torch_state_kept() -> Iterator[None]:
    if "torch" not in sys.modules:
        yield
        return
    import torch

    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    mode, benchmark = torch.get_deterministic_debug_mode(), torch.backends.cudnn.benchmark
    filling = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    with torch.random.fork_rng(devices=devices):
        try:
            yield
        finally:
            torch.set_deterministic_debug_mode(mode)
            torch.utils.deterministic.fill_uninitialized_memory = filling  # type: ignore[attr-defined]
            torch.backends.cudnn.benchmark = benchmark


def select_device() -> "torch.device":
    """Device to train on: what `MEDTL_DEVICE` says (`cpu` or `cuda`); unset, CUDA if there is one, else CPU.

    Raises MedtlError for another word, and for `cuda` on a machine that has none.
    """
    import torch

    wanted = settings.device()
    if wanted == "cuda" and not torch.cuda.is_available():
        raise MedtlError("MEDTL_DEVICE is 'cuda', but torch finds no CUDA device; set it to cpu or unset it")
    if wanted == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda")


def device_kind() -> str:
    """The kind of device that results of this process come from: that of `select_device`.

    A process that has not imported torch computes on the CPU.
    """
    return select_device().type if "torch" in sys.modules else "cpu"
