"""A trial's share of the threads of its process."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import joblib
from threadpoolctl import threadpool_limits


def threads_here() -> int:
    """Threads that this process may use."""
    if "torch" in sys.modules:
        return int(sys.modules["torch"].get_num_threads())
    return int(os.environ.get("OMP_NUM_THREADS") or joblib.cpu_count())


@contextmanager
def share_of_threads(count: int) -> Iterator[None]:
    """Gives PyTorch and OpenMP `count` threads for the length of a block, and BLAS one.

    Sums are split over threads, so a result depends on their number. BLAS has one because PyTorch has threads
    of its own, and two pools on the same cores wait for each other.
    """
    # Only libraries that are loaded can be limited, and these two bring a BLAS and an OpenMP of their own.
    import scipy.linalg  # noqa: F401
    import sklearn.utils  # noqa: F401

    torch = sys.modules.get("torch")
    before = None if torch is None else torch.get_num_threads()
    if torch is not None:
        torch.set_num_threads(count)
    try:
        with threadpool_limits({"blas": 1, "openmp": count}):
            yield
    finally:
        if torch is not None:
            torch.set_num_threads(before)
