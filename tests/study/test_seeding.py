import os
import random

import numpy as np
import pytest
import torch

from medtl_core.errors import MedtlError
from medtl_core.study.seeding import seed_everything, seeded, select_device


def draw() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: NPY002


def test_seed_fixes_python_numpy_and_torch_and_zero_is_a_seed():
    seed_everything(0)
    first = draw()
    seed_everything(0)
    assert draw() == first
    seed_everything(1)
    assert all(a != b for a, b in zip(draw(), first, strict=True))


@pytest.mark.parametrize("seed", [-1, 2**32, 1.0, "1", True, None])
def test_a_seed_out_of_range_is_refused(seed):
    with pytest.raises(MedtlError, match="expected a whole number from 0"):
        seed_everything(seed)


def test_seeded_puts_back_the_random_states_even_after_an_error():
    seed_everything(7)
    draw()
    expected = draw()
    seed_everything(7)
    draw()
    with seeded(3):
        draw()
    assert draw() == expected
    seed_everything(7)
    draw()
    with pytest.raises(KeyError, match="inside"), seeded(3):
        raise KeyError(f"inside {draw()}")
    assert draw() == expected


def test_deterministic_mode_is_on_and_benchmark_off():
    torch.backends.cudnn.benchmark = True
    seed_everything(0)
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.is_deterministic_algorithms_warn_only_enabled()
    assert not torch.backends.cudnn.benchmark
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] in (":4096:8", ":16:8")


def test_device_follows_the_environment(monkeypatch):
    monkeypatch.setenv("MEDTL_DEVICE", "cpu")
    assert select_device() == torch.device("cpu")
    monkeypatch.delenv("MEDTL_DEVICE")
    assert select_device().type == ("cuda" if torch.cuda.is_available() else "cpu")
    monkeypatch.setenv("MEDTL_DEVICE", "gpu")
    with pytest.raises(MedtlError, match="MEDTL_DEVICE is 'gpu'"):
        select_device()


def test_cuda_without_one_is_an_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("MEDTL_DEVICE", "cuda")
    with pytest.raises(MedtlError, match="finds no CUDA device"):
        select_device()


def test_modes_found_before_are_put_back():
    before = torch.get_deterministic_debug_mode()
    torch.set_deterministic_debug_mode("default")
    with seeded(0):
        assert torch.are_deterministic_algorithms_enabled()
    assert not torch.are_deterministic_algorithms_enabled()
    torch.set_deterministic_debug_mode(before)
