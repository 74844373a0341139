"""The window: which values of a 16-bit or float image become black and white."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medtl_core.errors import MedtlError

EXAMPLES = (
    "--window 0:4095 or 0:65535 for fixed values, or --window 1%:99% for percentiles of each image or volume"
)


@dataclass(frozen=True)
class Window:
    """Values at or below `low` become 0, at or above `high` 255, those between are scaled linearly.

    Attributes:
        low, high: in the image's own units (Hounsfield units after the rescale of a CT), or in percent.
        percent: whether they are percentiles, of each image or, for slices, of the whole volume.
    """

    low: float
    high: float
    percent: bool = False

    def __post_init__(self) -> None:
        finite = math.isfinite(self.low) and math.isfinite(self.high)
        inside = not self.percent or (self.low >= 0 and self.high <= 100)
        if not (finite and inside and self.low < self.high):
            raise MedtlError(
                f"window: found '{self}', expected LOW:HIGH with LOW below HIGH, percentiles from 0 to 100; "
                f"for example {EXAMPLES}"
            )

    def __str__(self) -> str:
        sign = "%" if self.percent else ""
        return f"{self.low:g}{sign}:{self.high:g}{sign}"

    @classmethod
    def parse(cls, text: str) -> "Window":
        """The window that LOW:HIGH or LOW%:HIGH% says; MedtlError for anything else."""
        ends = text.split(":")
        percent = [end.strip().endswith("%") for end in ends]
        try:
            low, high = (float(end.strip().removesuffix("%")) for end in ends)
            if percent[0] != percent[1]:
                raise ValueError
        except ValueError as error:
            raise MedtlError(
                f"--window: found '{text}', expected LOW:HIGH, both plain or both with %; "
                f"for example {EXAMPLES}"
            ) from error
        return cls(low, high, percent[0])

    def limits(self, values: NDArray) -> tuple[float, float]:
        """Lowest and highest value of the window for these values (any shape); NaN does not count."""
        if not self.percent:
            return self.low, self.high
        low, high = np.nanpercentile(values, [self.low, self.high])
        return float(low), float(high)


def to_grey(values: NDArray, low: float, high: float) -> NDArray[np.float32]:
    """Values scaled to 0..255 as float32 of the same shape, for low < high; all 0 for low = high.

    Raises:
        MedtlError: a value is NaN or infinite.
    """
    if not np.isfinite(values).all():
        count = int((~np.isfinite(values)).sum())
        raise MedtlError(f"found {count} values that are NaN or infinite, expected numbers; repair the file")
    if high <= low:
        return np.zeros(values.shape, np.float32)
    scaled = (np.clip(values.astype(np.float64), low, high) - low) * (255 / (high - low))
    return scaled.astype(np.float32)
