"""Pixels of an archive as they come, in a file on disk: grey until the first image in colour."""

from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from medtl_core.files import PART

_PIECE = 1 << 24  # bytes that are made RGB at a time


class PixelFile:
    """A nameless file in `folder` that squares of uint8 are added to; it vanishes when it is closed."""

    def __init__(self, folder: Path, size: int, colour: bool = False) -> None:
        """Start empty; `size` is in pixels a side, `colour` makes every image RGB from the first."""
        self.folder, self.size, self.colour = folder, size, colour
        self.count = 0
        self._file = TemporaryFile(dir=folder, prefix=PART)  # noqa: SIM115

    def __enter__(self) -> "PixelFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, pixels: NDArray[np.uint8]) -> None:
        """Append one image, (size, size) or (size, size, 3); grey is repeated where there is colour."""
        if pixels.ndim == 3 and not self.colour:
            self._to_colour()
        if pixels.ndim == 2 and self.colour:
            pixels = np.repeat(pixels[..., None], 3, -1)
        self._file.write(np.ascontiguousarray(pixels).data)
        self.count += 1

    def array(self) -> NDArray[np.uint8]:
        """All images, uint8 (N, size, size) or (N, size, size, 3), read from the disk as they are used."""
        shape = (self.count, self.size, self.size, *((3,) if self.colour else ()))
        self._file.flush()
        return np.memmap(self._file, np.uint8, "r", shape=shape)

    def _to_colour(self) -> None:
        wider = TemporaryFile(dir=self.folder, prefix=PART)  # noqa: SIM115
        self._file.seek(0)
        while piece := self._file.read(_PIECE):
            wider.write(np.repeat(np.frombuffer(piece, np.uint8), 3).data)
        self._file.close()
        self._file, self.colour = wider, True
