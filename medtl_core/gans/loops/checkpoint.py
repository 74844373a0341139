"""Checkpoints of a training run: everything that the next step depends on, in one file."""

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from medtl_core.errors import MedtlError
from medtl_core.files import one_line, write_atomically

if TYPE_CHECKING:
    from medtl_core.gans.loops.training_run import Stateful

History = list[dict[str, float]]


def save_checkpoint(
    path: Path,
    identity: str,
    parts: "Mapping[str, Stateful]",
    generator: torch.Generator,
    step: int,
    history: History,
) -> None:
    """Write a checkpoint whole, or not at all; errors as `medtl_core.files.replacing`."""
    content = {
        "identity": identity,
        "step": step,
        "history": history,
        "parts": {name: part.state_dict() for name, part in parts.items()},
        "generator": generator.get_state(),
        "cpu": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(generator.device) if generator.device.type == "cuda" else None,
    }
    write_atomically(path, lambda file: torch.save(content, file))


def load_checkpoint(
    path: Path, identity: str, parts: "Mapping[str, Stateful]", generator: torch.Generator
) -> tuple[int, History]:
    """Bring all parts and random states back: the number of steps done, and the history.

    MedtlError for a file that cannot be read and for the checkpoint of another run or of networks of another
    shape. Networks of one shape are not told apart by the weights that they started from.
    """
    try:
        content: dict[str, Any] = torch.load(path, map_location=generator.device, weights_only=True)
        found = content["identity"]
    except (OSError, EOFError, RuntimeError, ValueError, LookupError, TypeError, pickle.UnpicklingError,
            zipfile.BadZipFile) as error:  # fmt: skip
        raise MedtlError(
            f"{path}: found a file that cannot be read ({one_line(error)[:80]}), expected a checkpoint of "
            "medtl; delete it to start afresh"
        ) from error
    if found != identity:
        raise MedtlError(
            f"{path}: checkpoint of another run ({found}), expected {identity}; delete it or choose another "
            "file"
        )
    for name, part in parts.items():
        try:
            part.load_state_dict(content["parts"][name])
        except (LookupError, RuntimeError, ValueError) as error:
            raise MedtlError(
                f"{path}: checkpoint of another {name} ({one_line(error)[:80]}); delete it or choose another "
                "file"
            ) from error
    generator.set_state(content["generator"].cpu())
    torch.set_rng_state(content["cpu"].cpu())
    if content["cuda"] is not None:
        torch.cuda.set_rng_state(content["cuda"].cpu(), generator.device)
    return int(content["step"]), content["history"]
