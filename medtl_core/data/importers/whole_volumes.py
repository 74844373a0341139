"""NIfTI volumes as whole volumes: two folders of one file a patient, volumes and masks of the same names."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medtl_core import __version__
from medtl_core.data.archives.volumes import VolumeArchive, write_volumes
from medtl_core.data.importers.cases import Problems
from medtl_core.data.importers.nifti import (
    import_nifti,
    is_nifti,
    is_reading_error,
    opened,
    value_limits,
    values_of,
)
from medtl_core.data.importers.scan import scan
from medtl_core.data.importers.window import Window, to_grey
from medtl_core.errors import MedtlError
from medtl_core.files import one_line

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Image

LARGEST = 512


def import_volumes(
    source: Path,
    out: Path,
    *,
    size: int,
    masks: Path | None = None,
    mask_names: Sequence[str] = (),
    window: Window | None = None,
) -> VolumeArchive:
    """Read every volume of a folder into cubes of `size` voxels a side and write an archive of volumes.

    A volume is turned to the axes of the patient: D from feet to head, H from front to back, W from the
    patient's right to left. Voxels are made cubic, the volume is scaled to fit (linearly, smoothed first
    where it gets smaller; masks by the nearest voxel) and centred on black. A file is a patient.

    Args:
        source: folder of .nii or .nii.gz files.
        out: a new file, NAME.npz.
        masks: folder of masks that have the names of their volumes, integers 0, 1, ...; None: no masks.
        mask_names: a name for each value of the masks; none: background, label_1, ...
        window: grey values that become 0 and 255, percentiles of each volume; None: 8 bits as they are.

    Raises:
        MedtlError: nibabel is not installed, `out` exists, no file, a volume that cannot be read,
            needs a window or has no mask that fits; one line with the file's name.
    """
    import_nifti()
    if out.suffix != ".npz" or out.exists():
        raise MedtlError(f"--out: found '{out}', expected a new file NAME.npz; choose another name")
    if not 1 <= size <= LARGEST:
        raise MedtlError(f"--size: found {size}, expected 1 to {LARGEST} voxels a side")
    names, notes = scan(source, is_nifti, Problems())
    volumes = np.zeros((len(names), size, size, size), np.uint8)
    marked = None if masks is None else np.zeros_like(volumes)
    for index, name in enumerate(names):
        try:
            image = opened(source / name)
            grey = to_grey(values_of(image), *value_limits(values_of(image), window))
            volumes[index] = np.rint(_cube(grey, _zooms(image), size, smooth=True))
            if masks is not None and marked is not None:
                marked[index] = _cube(_mask_of(masks / name, image), _zooms(image), size, smooth=False)
        except MedtlError as error:
            raise MedtlError(f"{name}: {error}") from error
        except Exception as error:
            if not is_reading_error(error):
                raise
            raise MedtlError(
                f"{name}: found a file that nibabel cannot read ({one_line(error)[:200]}), expected a NIfTI "
                "volume; replace it"
            ) from error
    archive = VolumeArchive(
        name=out.stem,
        volumes=volumes,
        masks=marked,
        mask_names=_mask_names(marked, mask_names),
        groups=np.array([name.as_posix().partition(".nii")[0] for name in names]),
        provenance=(
            *notes,
            f"size: {size} voxels a side, whole volumes on black, cubic voxels",
            f"window: {window}" if window is not None else "8 bits without a window",
            "patients: every file is one",
            f"imported by medtl {__version__}",
        ),
    )
    write_volumes(archive, out)
    return archive


def _cube(values: NDArray, zooms: Sequence[float], size: int, *, smooth: bool) -> NDArray:
    """Values along right, front, head (X, Y, Z) as a cube (D, H, W) = (Z up, Y back, X to the left)."""
    turned = values[::-1, ::-1].transpose(2, 1, 0)
    millimetres = np.array([zooms[axis] * values.shape[axis] for axis in (2, 1, 0)])
    target = np.maximum(1, np.rint(size * millimetres / millimetres.max())).astype(int)
    steps = np.array(turned.shape) / target
    if smooth:
        turned = ndimage.gaussian_filter(turned, np.maximum(0, (steps - 1) / 2))
    # The middle of a voxel of the cube lies at (i + 1/2) * step - 1/2 of the volume.
    fitted = ndimage.affine_transform(
        turned, steps, (steps - 1) / 2, output_shape=tuple(target), order=int(smooth), mode="nearest"
    )
    cube = np.zeros((size, size, size), fitted.dtype)
    start = (size - target) // 2
    cube[tuple(slice(a, a + b) for a, b in zip(start, target, strict=True))] = fitted
    return cube


def _mask_of(path: Path, volume: "Nifti1Image") -> NDArray[np.uint8]:
    if not path.is_file():
        raise MedtlError(f"found no mask {path}, expected one of the volume's name; add it")
    mask = opened(path)
    if mask.shape[:3] != volume.shape[:3] or not np.allclose(mask.affine, volume.affine, atol=1e-3):
        raise MedtlError(
            f"mask {path.name}: found {mask.shape[:3]} voxels or another place in space, expected the "
            f"{volume.shape[:3]} of its volume; resample it"
        )
    values = values_of(mask)
    if values.min() < 0 or values.max() > 255 or not (values == np.rint(values)).all():
        raise MedtlError(f"mask {path.name}: found other values than 0, 1, ... 255, expected whole numbers")
    return values.astype(np.uint8)


def _mask_names(masks: NDArray[np.uint8] | None, names: Sequence[str]) -> tuple[str, ...]:
    if masks is None:
        return ()
    return tuple(names) or ("background", *(f"label_{value}" for value in range(1, int(masks.max()) + 1)))


def _zooms(volume: "Nifti1Image") -> list[float]:
    return [float(zoom) for zoom in volume.header.get_zooms()[:3]]
