"""The hub, without a network: a cache that is full, a hub that does not answer, and a name that it lacks."""

from pathlib import Path

import pytest
import requests
import timm
import torch
from safetensors.torch import save_file

from medtl_core.backbones import hub
from medtl_core.backbones.googlenet import GoogLeNet
from medtl_core.backbones.zoo import build, weights_source
from medtl_core.data.tensors import Normalisation
from medtl_core.errors import MedtlError


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float]]:
    """Empty caches, and a hub that nobody can reach; returns what it was asked, and with which time limit."""
    questions: list[tuple[str, float]] = []

    def unreachable(url: str, timeout: float, **_: object) -> None:
        questions.append((url, timeout))
        raise requests.ConnectionError("name or service\nnot known")

    monkeypatch.setattr(requests, "head", unreachable)
    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub.huggingface_hub, "try_to_load_from_cache", lambda *_: None)
    return questions


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("resnet18", "huggingface.co/timm/resnet18"),
        ("legacy_xception", "github"),
        ("googlenet", "pytorch.org"),
    ],
)
def test_a_hub_that_does_not_answer_is_one_line(name: str, host: str, asked: list[tuple[str, float]]) -> None:
    for call in (
        lambda: build(name, num_classes=2, pretrained=True),
        lambda: weights_source(name),
    ):
        with pytest.raises(MedtlError, match=f"none for '{name}'.*MEDTL_WEIGHTS.*pretrained=False") as caught:
            call()
        assert "\n" not in str(caught.value)
    assert len(asked) == 2
    assert all(host in url and 0 < timeout <= 10 for url, timeout in asked)


def test_offline_mode_asks_nobody(monkeypatch: pytest.MonkeyPatch, asked: list[tuple[str, float]]) -> None:
    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", True)
    with pytest.raises(MedtlError, match="HF_HUB_OFFLINE"):
        build("resnet18", num_classes=2, pretrained=True)
    assert asked == []


def test_a_network_without_published_weights_is_one_line(asked: list[tuple[str, float]]) -> None:
    with pytest.raises(MedtlError, match="timm publishes none for 'densenet264d'"):
        build("densenet264d", num_classes=2, pretrained=True)
    assert asked == []


def test_what_is_cached_is_loaded_without_asking(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, asked: list[tuple[str, float]]
) -> None:
    published = timm.create_model("resnet18")
    path = tmp_path / "model.safetensors"
    save_file(published.state_dict(), path)
    monkeypatch.setattr(hub.huggingface_hub, "try_to_load_from_cache", lambda *_: str(path))
    built = build("resnet18", num_classes=3, pretrained=True)
    loaded = built.network.state_dict()
    assert loaded["fc.weight"].shape == (3, 512)
    for key, tensor in published.state_dict().items():
        assert key.startswith("fc.") or torch.equal(loaded[key], tensor)
    assert built.normalisation == Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert built.weights == "hub timm/resnet18.a1_in1k"
    assert asked == []


def test_a_damaged_cache_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"damaged")
    monkeypatch.setattr(hub.huggingface_hub, "try_to_load_from_cache", lambda *_: str(path))
    with pytest.raises(MedtlError, match=r"none for 'resnet18'.*hub"):
        build("resnet18", num_classes=3, pretrained=True)


def test_googlenet_comes_from_torchvision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[tuple[str, float]]
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    published = GoogLeNet(1000)
    state = published.state_dict() | {"aux1.fc2.bias": torch.zeros(1000), "aux2.fc2.bias": torch.zeros(1000)}
    checkpoints = tmp_path / "torch" / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    torch.save(state, checkpoints / "googlenet-1378be20.pth")
    built = build("googlenet", num_classes=4, pretrained=True)
    assert torch.equal(built.network.get_parameter("conv1.conv.weight"), published.conv1.conv.weight)
    assert built.normalisation == Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert built.weights == "hub https://download.pytorch.org/models/googlenet-1378be20.pth"
    assert asked == []
