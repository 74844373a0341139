"""Image files that the tests of the importers make."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medtl_core.data.importers.cases import Case
from medtl_core.errors import MedtlError


def noise(height=12, width=12, channels=0, seed=0):
    shape = (height, width, channels) if channels else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def save(path: Path, pixels=None, **options) -> Path:
    """Save an array, a Pillow image or, by default, grey noise whose seed is the file's name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if pixels is None:
        pixels = noise(seed=sum(path.as_posix().encode()))
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(path, **options)
    return path


def case(path: Path, masks=()) -> Case:
    return Case(path, path.name, "benign", masks=tuple(masks))


def refused(call, *arguments, **options) -> str:
    with pytest.raises(MedtlError) as caught:
        call(*arguments, **options)
    line = str(caught.value)
    assert "\n" not in line
    return line
