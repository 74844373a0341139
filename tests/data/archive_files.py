"""Archives on disk for the tests: good ones, and ones that break a single rule."""

from pathlib import Path

import numpy as np
import pytest

from medtl_core.data.archives.archive import read_archive
from medtl_core.errors import MedtlError

N = 12


def arrays(colour=False, **changes):
    rng = np.random.default_rng(0)
    content = {
        "images": rng.integers(0, 256, (N, 6, 5, 3) if colour else (N, 6, 5), dtype=np.uint8),
        "labels": np.arange(N) % 3,
        "class_names": np.array(["a", "b", "c"]),
        "groups": np.array([f"p{i // 2}" for i in range(N)]),
        "domains": np.array(["x", "y"] * (N // 2)),
        "masks": rng.integers(0, 2, (N, 6, 5), dtype=np.uint8),
        "mask_names": np.array(["background", "lesion"]),
        "splits": np.array(["train"] * 6 + ["val"] * 2 + ["test"] * 4),
        "age": np.linspace(1, 90, N),
    } | changes
    return {key: value for key, value in content.items() if value is not None}


def saved(folder: Path, name="set", **content):
    path = folder / f"{name}.npz"
    np.savez_compressed(path, **content)
    return path


def refused(path) -> str:
    with pytest.raises(MedtlError) as caught:
        read_archive(path)
    line = str(caught.value)
    assert "\n" not in line
    assert str(path) in line
    return line
