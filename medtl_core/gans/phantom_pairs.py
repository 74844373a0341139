"""Digital phantoms for translation: the same patients on two scanners, and with and without a lesion."""

from dataclasses import replace

import numpy as np

from medtl_core.data.archives.archive import Archive
from medtl_core.data.phantoms.acquisition import AcquisitionStyle
from medtl_core.data.phantoms.phantoms import SPECS, draw
from medtl_core.data.phantoms.spec import Domain

SCANNERS = {
    "scanner_a": AcquisitionStyle(),
    "scanner_b": AcquisitionStyle(blur=0.9, noise=0.03, gamma=1.8, bias_field=0.5),
}


def paired_scanners(n: int, size: int, seed: int) -> tuple[Archive, Archive]:
    """The same n patients on two scanners: case i of one is the hidden true partner of case i of the other.

    Grey, `size` px a side, one image a patient. Errors as `draw`.
    """
    spec = replace(SPECS["phantoms"], n=n, size=size, images_per_patient=(1, 1))
    first, second = (
        draw(replace(spec, domains=(Domain(name, style),)), seed) for name, style in SCANNERS.items()
    )
    return first, second


def with_and_without_lesion(
    n: int, size: int, seed: int, lesion_radius: tuple[float, float] = SPECS["phantoms"].lesion_radius
) -> Archive:
    """n phantoms without a lesion (class 0, empty masks) and n of other patients with one (class 1).

    One image a patient. lesion_radius: smallest and largest, as in `PhantomSpec`. Errors as `draw`.
    """
    spec = replace(SPECS["phantoms"], n=n, size=size, images_per_patient=(1, 1), lesion_radius=lesion_radius)
    with_lesion = draw(replace(spec, contrast=0.5), seed)
    without = draw(replace(spec, contrast=0.0, lesion_texture=0.0), seed + 1_000_003)
    assert with_lesion.groups is not None
    assert without.groups is not None
    assert with_lesion.masks is not None
    return Archive(
        name="phantoms_lesion",
        images=np.concatenate([without.images, with_lesion.images]),
        labels=np.repeat(np.arange(2), n),
        class_names=("without", "with lesion"),
        groups=np.concatenate(
            [np.char.add("without_", without.groups), np.char.add("with_", with_lesion.groups)]
        ),
        masks=np.concatenate([np.zeros_like(with_lesion.masks), with_lesion.masks]),
        mask_names=("background", "lesion"),
        origin="synthetic",
    )
