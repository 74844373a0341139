"""One transform with its strength, by name."""

from __future__ import annotations

from dataclasses import dataclass, replace

from medtl_core.augmentation.catalogue import describe
from medtl_core.augmentation.generated import Generator
from medtl_core.errors import MedtlError

DEFAULT_STRENGTH = 0.5


@dataclass(frozen=True)
class Transform:
    """A named transform; what strength 1 means stands in the catalogue (`describe(name).strength`).

    strength: 0 (nothing changes) to 1 (the usual strong setting). probability: of each image to take part,
    above 0 to 1. source: the generator of images that `generated` needs and no other transform takes.
    Raises MedtlError for an unknown name and for values out of range, naming what is valid.
    """

    name: str
    strength: float = DEFAULT_STRENGTH
    probability: float = 1.0
    source: Generator | None = None

    def __post_init__(self) -> None:
        describe(self.name)
        if not _is_number(self.strength) or not 0 <= self.strength <= 1:
            raise MedtlError(
                f"{self.name}: strength is {self.strength!r}, expected 0 to 1 ({self.meaning} at 1)"
            )
        if not _is_number(self.probability) or not 0 < self.probability <= 1:
            raise MedtlError(f"{self.name}: probability is {self.probability!r}, expected above 0 to 1")
        if (self.name == "generated") != isinstance(self.source, Generator):
            expected = "a Generator" if self.name == "generated" else "none"
            raise MedtlError(f"{self.name}: source is {self.source!r}, expected {expected}")

    @property
    def kind(self) -> str:
        """Its class: basic, deformable, other or deep (Chlap et al. 2021)."""
        return describe(self.name).kind

    @property
    def assumption(self) -> str:
        """What must hold for the label to stay true."""
        return describe(self.name).assumption

    @property
    def meaning(self) -> str:
        """What strength 1 is, in words."""
        return describe(self.name).strength

    def scaled(self, factor: float) -> Transform:
        """The same with `factor` times the strength; MedtlError where that leaves 0 to 1."""
        return replace(self, strength=self.strength * factor)


def transform(name: str, strength: float = DEFAULT_STRENGTH, probability: float = 1.0) -> Transform:
    """The transform of a name; `generated`, which needs a generator, is made by `Transform` itself.

    Raises MedtlError for an unknown name and for values out of range, naming what is valid.
    """
    return Transform(name, strength, probability)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
