"""The publisher's table of MedMNIST: addresses, checksums, class names and licences."""

import ast
import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from medtl_core.errors import MedtlError

SIZES = (28, 64, 128, 224)
CITATION = (
    "Yang J et al. MedMNIST v2 - A large-scale lightweight benchmark for 2D and 3D biomedical image "
    "classification. Scientific Data 10, 41 (2023)"
)


@dataclass(frozen=True)
class PublishedSet:
    """One 2-D MedMNIST set at one size, as its publisher describes it."""

    name: str
    title: str
    size: int  # pixels a side
    channels: int
    n: int
    class_names: tuple[str, ...]
    task: str
    licence: str
    url: str
    md5: str

    @property
    def multi_label(self) -> bool:
        """Whether a case may carry several classes at once, which an archive cannot hold."""
        return self.task.startswith("multi-label")


@cache
def published_sets() -> dict[str, PublishedSet]:
    """Every 2-D MedMNIST set at each published size by name: `breastmnist`, `breastmnist_64`, …"""
    sets = {}
    for flag, row in _info().items():
        if flag.endswith("3d"):
            continue
        for size in SIZES:
            suffix = "" if size == SIZES[0] else f"_{size}"
            sets[flag + suffix] = PublishedSet(
                name=flag + suffix,
                title=f"{row['python_class']} v2, {size} px",
                size=size,
                channels=row["n_channels"],
                n=sum(row["n_samples"].values()),
                class_names=_class_names(row),
                task=row["task"],
                licence=row["license"],
                url=row[f"url{suffix}"],
                md5=row[f"MD5{suffix}"],
            )
    return sets


def _class_names(row: dict[str, Any]) -> tuple[str, ...]:
    return tuple(row["label"][str(index)] for index in range(len(row["label"])))


@cache
def _info() -> dict[str, dict[str, Any]]:
    # Read as a literal: importing the package would import torch and make a folder in the user's home.
    spec = importlib.util.find_spec("medmnist")
    if spec is None or spec.origin is None:
        raise MedtlError(
            "package medmnist is not installed; expected it for its table of addresses (run `make env`)"
        )
    path = Path(spec.origin).with_name("info.py")
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(
            isinstance(t, ast.Name) and t.id == "INFO" for t in node.targets
        ):
            return ast.literal_eval(node.value)
    raise MedtlError(f"{path}: found no table INFO, expected the one of medmnist 3; install medmnist>=3.0.2")
