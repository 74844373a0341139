"""Writing a weights file with its card: what the weights were trained on travels with them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from medtl_core.backbones.zoo import Backbone, architecture_of, head_of
from medtl_core.errors import MedtlError
from medtl_core.files import replacing

CARD = "card"


def save_weights(backbone: Backbone, tag: str, card: dict[str, Any], folder: Path) -> Path:
    """Write `folder/<architecture>.<tag>.safetensors`: all parameters and buffers but the head, and the card.

    `zoo.build("<architecture>.<tag>", pretrained=True, ...)` finds the file once MEDTL_WEIGHTS names the
    folder; the architecture's own weights keep their name. The card is plain data (JSON); the input
    normalisation is written beside it. The file appears whole or not at all.

    Raises MedtlError for a tag that is not made of letters, digits, _ and -.
    """
    name = f"{architecture_of(backbone.name)}.{checked_tag(tag)}"
    network = backbone.network
    head = next(path for path, module in network.named_modules() if module is head_of(network))
    state = {
        key: tensor.detach().cpu().contiguous()
        for key, tensor in network.state_dict().items()
        if not key.startswith(f"{head}.")
    }
    normalisation = backbone.normalisation
    metadata = {
        "mean": ",".join(map(repr, normalisation.mean)),
        "std": ",".join(map(repr, normalisation.std)),
        CARD: json.dumps(card, sort_keys=True),
    }
    path = folder / f"{name}.safetensors"
    with replacing(path) as scratch:
        save_file(state, scratch, metadata)
    return path


def checked_tag(tag: str) -> str:
    """The tag, if it can stand in a file's name; else MedtlError."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+", tag):
        raise MedtlError(f"weights: tag {tag!r}, expected letters, digits, _ and - such as 'chest_v1'")
    return tag


def read_card(path: Path) -> dict[str, Any]:
    """The card of a weights file. MedtlError if the file cannot be read or carries none."""
    try:
        with safe_open(path, framework="pt") as file:
            found = (file.metadata() or {}).get(CARD)
    except (SafetensorError, OSError) as error:
        raise MedtlError(
            f"weights: {path.name} cannot be read ({error}), expected a safetensors file"
        ) from error
    if found is None:
        raise MedtlError(
            f"weights: {path.name} has no card in its metadata, expected one that says what it was "
            "trained on; write it with `medtl pretrain`"
        )
    return dict(json.loads(found))
