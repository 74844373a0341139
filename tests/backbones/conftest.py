"""A folder of weights for one test, and nothing from the user's own."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

METADATA = {"mean": "0.1,0.2,0.3", "std": "0.4,0.5,0.6"}


@pytest.fixture(autouse=True)
def _no_weights_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MEDTL_WEIGHTS", raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


@pytest.fixture
def weights_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setenv("MEDTL_WEIGHTS", str(folder))
    return folder


@pytest.fixture
def save_weights(weights_folder: Path) -> Callable[..., Path]:
    def save(name: str, state: dict[str, Tensor], metadata: dict[str, str] | None = METADATA) -> Path:
        path = weights_folder / f"{name}.safetensors"
        save_file({key: tensor.contiguous() for key, tensor in state.items()}, path, metadata)
        return path

    return save


@pytest.fixture
def images() -> Tensor:
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(7))
