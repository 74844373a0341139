"""What every transform is: its class, what strength 1 means, and what it takes for granted about the label.

The classes are those of Chlap et al. 2021: basic, deformable, deep and other.
"""

from __future__ import annotations

from dataclasses import dataclass

from medtl_core.augmentation import affine, deformable, intensity, mixing
from medtl_core.errors import MedtlError

KINDS = ("basic", "deformable", "other", "deep")

_EXPOSURE = "the class does not depend on the overall grey level"
_DETAIL = "the class does not depend on detail as fine as the noise"


@dataclass(frozen=True)
class Description:
    """One line of the catalogue.

    `strength` says in words what strength 1 is; strength 0 changes nothing, and between the two limits grow
    in proportion. `assumption` is what must hold for the label to stay true. `volumes` says whether (N, C,
    D, H, W) is taken, `masks` what happens to masks: "warped", "kept", "moved" with what is pasted, or
    "refused".
    """

    name: str
    kind: str
    strength: str
    assumption: str
    volumes: bool = True
    masks: str = "kept"


_DESCRIPTIONS = (
    Description(
        "flip",
        "basic",
        "left and right exchanged with probability .5",
        "the class does not depend on left and right",
        masks="warped",
    ),
    Description(
        "rotation",
        "basic",
        f"a turn of up to {affine.LARGEST_ROTATION:g} degrees, in the plane of a slice",
        "the class does not depend on orientation",
        masks="warped",
    ),
    Description(
        "scale",
        "basic",
        f"a relative change of size of up to {affine.LARGEST_SCALE:g}",
        "the class does not depend on absolute size",
        masks="warped",
    ),
    Description(
        "translation",
        "basic",
        f"a shift of up to {affine.LARGEST_TRANSLATION:g} of each side",
        "the class does not depend on position, and nothing of it lies at the border",
        masks="warped",
    ),
    Description(
        "crop",
        "basic",
        f"a window of {affine.SMALLEST_CROP:g} to 1 of the area, enlarged to full size",
        "every window shows enough of what decides the class, and absolute size does not matter",
        masks="warped",
    ),
    Description(
        "gaussian_noise",
        "basic",
        f"a standard deviation of up to {intensity.LARGEST_GAUSSIAN_NOISE:g} of the full range",
        _DETAIL,
    ),
    Description(
        "speckle_noise",
        "basic",
        f"a standard deviation of up to {intensity.LARGEST_SPECKLE_NOISE:g} of the grey value",
        _DETAIL,
    ),
    Description(
        "poisson_noise",
        "basic",
        f"a standard deviation of up to {intensity.LARGEST_POISSON_NOISE:g} in a white pixel",
        _DETAIL,
    ),
    Description(
        "blur",
        "basic",
        "a standard deviation of up to 1/32 of the side (2 pixels of 64)",
        "the class does not depend on fine texture and sharp edges",
    ),
    Description(
        "intensity",
        "basic",
        f"a shift of all grey values of up to {intensity.LARGEST_BRIGHTNESS:g} of the full range",
        _EXPOSURE,
    ),
    Description(
        "gamma",
        "basic",
        f"an exponent of {1 - intensity.LARGEST_GAMMA:g} to {1 + intensity.LARGEST_GAMMA:g}",
        "the class depends on the order of grey values, not on their differences",
    ),
    Description(
        "contrast",
        "basic",
        f"a relative change of contrast of up to {intensity.LARGEST_CONTRAST:g}",
        "the class does not depend on absolute differences of grey values",
    ),
    Description(
        "elastic",
        "deformable",
        "sigma 4 and alpha 34 for 28 pixels, as in Simard et al. 2003",
        "the class does not depend on exact shape and regular borders",
        masks="warped",
    ),
    Description(
        "bspline",
        "deformable",
        f"control points move with a standard deviation of {deformable.BSPLINE_SPREAD:g} of their spacing",
        "the class does not depend on exact shape and proportions",
        masks="warped",
    ),
    Description(
        "mixup",
        "other",
        f"weights from Beta({mixing.MIXUP_ALPHA:g}, {mixing.MIXUP_ALPHA:g})",
        "the probability of a class changes linearly between two images",
        masks="refused",
    ),
    Description(
        "cutmix",
        "other",
        "a rectangle of 1 - w of the area, w the larger share of a uniform draw",
        "every part of an image speaks for its class in proportion to its area",
        volumes=False,
        masks="moved",
    ),
    Description(
        "cutout",
        "other",
        f"a hidden square with {mixing.LARGEST_CUTOUT:g} of the side",
        "no part of that size decides the class alone",
        volumes=False,
    ),
    Description(
        "patch_swap",
        "other",
        f"two squares with {mixing.LARGEST_PATCH:g} of the side change places",
        "the class does not depend on where in the image a structure lies",
        volumes=False,
        masks="moved",
    ),
    Description(
        "generated",
        "deep",
        "half of the batch replaced by a generator's images",
        "the generator's images show the class that was asked for",
        masks="refused",
    ),
)
CATALOGUE = {entry.name: entry for entry in _DESCRIPTIONS}


def transform_names(kind: str | None = None) -> list[str]:
    """Names of all transforms, or of one class; MedtlError for a class that does not exist."""
    if kind is not None and kind not in KINDS:
        raise MedtlError(f"transforms: found class {kind!r}, expected one of {', '.join(KINDS)}")
    return [name for name, entry in CATALOGUE.items() if kind in (None, entry.kind)]


def describe(name: str) -> Description:
    """The catalogue's entry for a name; MedtlError, with all names, for an unknown one."""
    if not isinstance(name, str) or name not in CATALOGUE:
        raise MedtlError(f"transform: found {name!r}, expected one of {', '.join(CATALOGUE)}")
    return CATALOGUE[name]
