"""What a set of digital phantoms consists of: the spec, its domains, and the check of both."""

from __future__ import annotations

from dataclasses import dataclass, field

from medtl_core.data.phantoms.acquisition import STYLE_RANGES, AcquisitionStyle
from medtl_core.data.phantoms.lesions import FAMILIES
from medtl_core.errors import MedtlError


@dataclass(frozen=True)
class Domain:
    """A site: its name, its style, its share of the patients (relative, above 0) and its shortcut mark.

    shortcut: None for a site that stamps no marks; else the mark's informedness, P(mark | last class) -
    P(mark | any other class), in -1..1, which for two classes in equal numbers is the correlation of mark
    and label; at 0 half of the images are marked, whatever their class.
    """

    name: str
    style: AcquisitionStyle = field(default_factory=AcquisitionStyle)
    share: float = 1.0
    shortcut: float | None = None


@dataclass(frozen=True)
class PhantomSpec:
    """What to draw; checked by `draw`, which raises MedtlError.

    name: of the archive
    n: number of images, 8..1,000,000
    size: pixels per side, 24..512; anatomy and lesions scale with it
    colour: stained sections (RGB) instead of grey images
    classes: two or more of `phantom_lesions.FAMILIES`, in the order of the labels
    prevalence: share of each class among a site's patients, sums to 1; None for equal shares
    images_per_patient: smallest and largest number, 1..100
    contrast: mean brightness of a lesion above its surroundings, in grey, 0..1
    irregularity: how far outlines of the lobed and spiculated families leave the oval, 0..1
    lesion_texture: standard deviation of the lesion's inner texture, in grey, 0..0.5
    tissue_texture: standard deviation of the 1/f texture around it, in grey, 0..0.5
    lesion_radius: smallest and largest mean radius in half-widths of the image, 0.05..0.4
    label_noise: share of labels replaced by another class, chosen at random, 0..0.5
    domains: the sites
    leaked: share of the test images of a published split that are copies of training images, 0..1; None for
        no published split
    """

    name: str = "phantoms"
    n: int = 2000
    size: int = 64
    colour: bool = False
    classes: tuple[str, ...] = ("smooth", "spiculated")
    prevalence: tuple[float, ...] | None = None
    images_per_patient: tuple[int, int] = (1, 4)
    contrast: float = 0.3
    irregularity: float = 1.0
    lesion_texture: float = 0.05
    tissue_texture: float = 0.05
    lesion_radius: tuple[float, float] = (0.22, 0.32)
    label_noise: float = 0.0
    domains: tuple[Domain, ...] = (Domain("scanner_a"),)
    leaked: float | None = None


def _check(condition: bool, spec: PhantomSpec, field: str, expected: str) -> None:
    if not condition:
        raise MedtlError(
            f"phantom spec {spec.name!r}: {field} is {getattr(spec, field)!r}, expected {expected}"
        )


def validate_spec(spec: PhantomSpec) -> None:
    """Raise MedtlError, one line, if a field of the spec is out of its range."""
    k = len(spec.classes)
    known = ", ".join(FAMILIES)
    _check(8 <= spec.n <= 1_000_000, spec, "n", "8 to 1,000,000 images")
    _check(24 <= spec.size <= 512, spec, "size", "24 to 512 pixels")
    _check(
        k >= 2 and len(set(spec.classes)) == k and set(spec.classes) <= set(FAMILIES),
        spec,
        "classes",
        f"two or more different ones of {known}",
    )
    shares = spec.prevalence
    _check(
        shares is None or (len(shares) == k and min(shares) > 0 and abs(sum(shares) - 1) < 1e-6),
        spec,
        "prevalence",
        f"{k} shares above 0 that sum to 1",
    )
    low, high = spec.images_per_patient
    _check(1 <= low <= high <= 100, spec, "images_per_patient", "smallest and largest number in 1..100")
    _check(0 <= spec.contrast <= 1, spec, "contrast", "0..1")
    _check(0 <= spec.irregularity <= 1, spec, "irregularity", "0..1")
    _check(0 <= spec.lesion_texture <= 0.5, spec, "lesion_texture", "0..0.5")
    _check(0 <= spec.tissue_texture <= 0.5, spec, "tissue_texture", "0..0.5")
    small, large = spec.lesion_radius
    _check(0.05 <= small <= large <= 0.4, spec, "lesion_radius", "smallest and largest radius in 0.05..0.4")
    _check(0 <= spec.label_noise <= 0.5, spec, "label_noise", "0..0.5")
    _check(spec.leaked is None or 0 <= spec.leaked <= 1, spec, "leaked", "None or 0..1")
    names = [domain.name for domain in spec.domains]
    _check(
        bool(names) and len(set(names)) == len(names) and all(names),
        spec,
        "domains",
        "different, non-empty names",
    )
    for domain in spec.domains:
        where = f"phantom spec {spec.name!r}: domain {domain.name!r}"
        if not domain.share > 0:
            raise MedtlError(f"{where}: share is {domain.share!r}, expected above 0")
        if domain.shortcut is not None and not -1 <= domain.shortcut <= 1:
            raise MedtlError(f"{where}: shortcut is {domain.shortcut!r}, expected None or -1..1")
        for name, (least, most) in STYLE_RANGES.items():
            value = getattr(domain.style, name)
            if not least <= value <= most:
                raise MedtlError(f"{where}: {name} is {value!r}, expected {least:g} to {most:g}")
