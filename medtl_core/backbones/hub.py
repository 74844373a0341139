"""Pretrained weights from the network: timm's hub, and torchvision for GoogLeNet.

What is in the user's cache is used without asking the network. Otherwise one request with a time limit
finds out whether the hub can be reached, because its own clients retry for most of a minute before they
give up.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import huggingface_hub
import requests
import timm
import torch
from huggingface_hub.constants import HF_HUB_OFFLINE
from safetensors import SafetensorError
from torch import Tensor
from torchvision.models import GoogLeNet_Weights

from medtl_core.errors import MedtlError

_SECONDS_TO_ANSWER = 10.0
_GOOGLENET = GoogLeNet_Weights.IMAGENET1K_V1


def hub_source(name: str) -> str:
    """Where the hub keeps the weights of `name`, as a text for records such as "hub timm/resnet18.a1_in1k".

    Raises MedtlError if the hub has none, or if they are not cached and the hub does not answer.
    """
    repository, filename, url = _address(name)
    if _cached(repository, filename, url) is None:
        _probe(name, huggingface_hub.hf_hub_url(repository, filename) if repository else url)
    return f"hub {repository or url}"


def hub_weights(name: str) -> tuple[dict[str, Tensor], tuple[float, ...], tuple[float, ...]]:
    """State dict with the hub's names for `name`, and the mean and std of its input normalisation.

    Downloads what is not cached. Raises MedtlError if the download or the file fails.
    """
    repository, filename, url = _address(name)
    try:
        if name == "googlenet":
            state = _GOOGLENET.get_state_dict(progress=False, check_hash=True)
            return dict(state), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
        overlay = {}
        if repository:
            path = _cached(repository, filename, url) or huggingface_hub.hf_hub_download(repository, filename)
            overlay = {"file": str(path)}
        # the published number of classes, so that timm loads its own checkpoint strictly
        donor = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay)
    except (OSError, RuntimeError, SafetensorError) as error:
        raise _unavailable(name, repository or url, error) from error
    config: Any = donor.pretrained_cfg
    return donor.state_dict(), tuple(config["mean"]), tuple(config["std"])


def _address(name: str) -> tuple[str, str, str]:
    """Repository and file on the Hugging Face hub, or an empty repository and the address of a file."""
    if name == "googlenet":
        return "", "", str(_GOOGLENET.url)
    config = timm.get_pretrained_cfg(name)
    if config is None or not (config.hf_hub_id or config.url):
        raise MedtlError(
            f"weights: timm publishes none for {name!r}, expected pretrained weights; "
            f"put {name}.safetensors into the folder MEDTL_WEIGHTS or build with pretrained=False"
        )
    return config.hf_hub_id or "", config.hf_hub_filename or "model.safetensors", str(config.url or "")


def _cached(repository: str, filename: str, url: str) -> Path | None:
    if repository:
        found = huggingface_hub.try_to_load_from_cache(repository, filename)
        return Path(found) if isinstance(found, str) else None
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]
    return path if path.is_file() else None


def _probe(name: str, url: str) -> None:
    try:
        if HF_HUB_OFFLINE:
            raise ConnectionError("HF_HUB_OFFLINE is set")
        requests.head(url, timeout=_SECONDS_TO_ANSWER, allow_redirects=True).raise_for_status()
    except OSError as error:
        raise _unavailable(name, url, error) from error


def _unavailable(name: str, place: str, error: Exception) -> MedtlError:
    reason = " ".join(str(error).split())[:80]
    return MedtlError(
        f"weights: none for {name!r}: no {name}.safetensors in MEDTL_WEIGHTS, no installed package, and "
        f"the hub ({place}) failed ({type(error).__name__}: {reason}); put the file into that folder, "
        "connect to the network, or build with pretrained=False"
    )
