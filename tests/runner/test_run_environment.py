import ctypes
import json

import pytest

from medtl_core.runner import environment


@pytest.mark.parametrize(
    ("device", "short"),
    [
        ("cpu", "cpu"),
        ("NVIDIA H200", "h200"),
        ("NVIDIA A100-SXM4-80GB", "a100"),
        ("NVIDIA GeForce RTX 4090", "4090"),
        ("Tesla T4", "t4"),
        ("NVIDIA Graphics", "gpu"),
    ],
)
def test_short_names_of_devices(device, short):
    assert environment.short_name(device) == short


def test_versions_leave_out_what_is_not_installed():
    found = environment.versions(("numpy", "no-such-distribution"))
    assert list(found) == ["numpy"]


def test_what_decides_a_result_is_fit_for_a_key():
    decisive = environment.decisive_environment("cpu")
    assert json.loads(json.dumps(decisive)) == decisive
    assert {"python", "device", "torch", "timm", "numpy"} <= set(decisive)
    assert environment.decisive_environment("NVIDIA H200") != decisive


def test_no_driver_means_no_gpu(monkeypatch):
    def missing(name):
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert environment.cuda_devices() == []


class Driver:
    """Two GPUs as the CUDA driver's library shows them."""

    def __init__(self, status):
        self.status = status

    def cuInit(self, flags):
        return self.status

    def cuDeviceGetCount(self, count):
        count._obj.value = 2
        return 0

    def cuDeviceGetName(self, name, length, index):
        name.value = b"NVIDIA H%d00" % (index + 1)
        return 0


def test_the_driver_is_asked_for_names(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver(0))
    assert environment.cuda_devices() == ["NVIDIA H100", "NVIDIA H200"]
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver(100))  # CUDA_ERROR_NO_DEVICE
    assert environment.cuda_devices() == []
