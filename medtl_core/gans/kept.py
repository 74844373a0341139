"""A small trained generator of each family, on phantoms of 32 px, kept with the package.

`python -m medtl_core.gans.kept FAMILY` trains one (half a minute to two) and writes its file; `load` reads
it. Weights are kept as 16-bit floats.
"""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from medtl_core.errors import MedtlError
from medtl_core.files import read_arrays, write_arrays
from medtl_core.gans.kept_from_noise import FROM_NOISE, acgan_phantoms
from medtl_core.gans.kept_recipe import Recipe
from medtl_core.gans.kept_translators import TRANSLATORS

__all__ = ["FAMILIES", "FOLDER", "Kept", "acgan_phantoms", "family_names", "load", "make"]
FOLDER = Path(__file__).parent / "trained"
FAMILIES: dict[str, Recipe] = FROM_NOISE | TRANSLATORS


@dataclass(frozen=True)
class Kept:
    """A trained network in evaluation mode, and the film of its training.

    film: names of rows -> uint8 (M, C, H, W). headings: names over equal groups of its columns, if any.
    """

    network: nn.Module
    film: dict[str, NDArray[np.uint8]]
    headings: tuple[str, ...]


def family_names() -> list[str]:
    """Names that `load` knows."""
    return list(FAMILIES)


def load(family: str) -> Kept:
    """The kept network of a family; MedtlError for another name and a damaged file."""
    _require(family)
    arrays = read_arrays(FOLDER / f"{family}.weights")
    weights = {name[7:]: torch.from_numpy(value) for name, value in arrays.items() if name[:7] == "weight:"}
    network = FAMILIES[family].build()
    own = network.state_dict()
    network.load_state_dict({name: value.to(own[name].dtype) for name, value in weights.items()})
    film = {name[5:]: value for name, value in arrays.items() if name[:5] == "film:"}
    return Kept(network.eval(), film, FAMILIES[family].headings)


def make(family: str) -> None:
    """Train the network of a family and write its file."""
    _require(family)
    network, film = FAMILIES[family].train()
    arrays = {}
    for name, value in network.state_dict().items():
        arrays[f"weight:{name}"] = (value.half() if value.is_floating_point() else value).numpy()
    for name, images in film.items():
        arrays[f"film:{name}"] = (images * 255).round().to(torch.uint8).numpy()
    FOLDER.mkdir(exist_ok=True)
    write_arrays(FOLDER / f"{family}.weights", arrays)


def _require(family: str) -> None:
    if family not in FAMILIES:
        raise MedtlError(f"kept generator: found {family!r}, expected one of {', '.join(FAMILIES)}")


def _main(families: list[str]) -> Iterator[str]:
    for family in families:
        started = time.process_time()
        make(family)
        size = (FOLDER / f"{family}.weights").stat().st_size / 1000
        yield f"{family}: {time.process_time() - started:.0f} s, {size:.0f} kB"


if __name__ == "__main__":
    torch.set_num_threads(1)
    for line in _main(sys.argv[1:] or family_names()):
        print(line)
