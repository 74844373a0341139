"""The archive of volumes: stacks of slices with masks of voxels, in one .npz file with the key `volumes`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

import numpy as np

from medtl_core.data.archives.archive import Archive
from medtl_core.data.archives.checks import check_arrays, described, refusal
from medtl_core.data.archives.keys import RESERVED_KEYS
from medtl_core.files import read_arrays, write_arrays

_NO_CLASSES = (
    "volume",
    "no other class",
)  # stands in where there are no labels: check_arrays wants two names


@dataclass(frozen=True, eq=False)
class VolumeArchive:
    """N volumes in memory, all of one size.

    Attributes:
        name: the stem of its file.
        volumes: uint8 (N, D, H, W), grey values 0 to 255.
        masks: uint8 (N, D, H, W) or None; value m is mask_names[m].
        mask_names: names of the mask values, empty without masks.
        labels: int64 (N,), or None as in data for segmentation alone.
        class_names: K names, empty without labels.
        groups, domains, splits: text (N,) or None, as in `Archive`.
        metadata: any other array whose first axis has length N.
        origin: `patients` or `synthetic`.
        provenance: sentences about how the archive was made.
    """

    name: str
    volumes: np.ndarray
    masks: np.ndarray | None = None
    mask_names: tuple[str, ...] = ()
    labels: np.ndarray | None = None
    class_names: tuple[str, ...] = ()
    groups: np.ndarray | None = None
    domains: np.ndarray | None = None
    splits: np.ndarray | None = None
    metadata: dict[str, np.ndarray] = field(default_factory=dict)
    origin: str = "patients"
    provenance: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        """Number of volumes."""
        return len(self.volumes)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Depth, height and width in voxels."""
        depth, height, width = self.volumes.shape[1:]
        return depth, height, width

    def pictures(self) -> Archive:
        """Each volume as one tall picture (N, D * H, W) of its slices, masks alike: no voxel is lost.

        Without labels all are of the class `volume`.
        """
        tall = (self.n, self.shape[0] * self.shape[1], self.shape[2])
        return self._archive(
            self.volumes.reshape(tall), None if self.masks is None else self.masks.reshape(tall)
        )

    def sections(self) -> Archive:
        """The middle slice along each axis, beside each other on black: (N, S, 3 S), S the largest side."""
        side = max(self.shape)
        pictures = np.zeros((self.n, side, 3 * side), np.uint8)
        for axis in range(3):
            middle = np.take(self.volumes, self.shape[axis] // 2, axis + 1)
            top, left = ((side - length) // 2 for length in middle.shape[1:])
            place = slice(axis * side + left, axis * side + left + middle.shape[2])
            pictures[:, top : top + middle.shape[1], place] = middle
        return self._archive(pictures, None)

    def _archive(self, images: np.ndarray, masks: np.ndarray | None) -> Archive:
        return Archive(
            name=self.name,
            images=images,
            labels=np.zeros(self.n, np.int64) if self.labels is None else self.labels,
            class_names=self.class_names or _NO_CLASSES,
            groups=self.groups,
            domains=self.domains,
            masks=masks,
            mask_names=self.mask_names if masks is not None else (),
            splits=self.splits,
            metadata=self.metadata,
            origin=self.origin,
            provenance=self.provenance,
        )


def holds_volumes(keys: Mapping[str, object]) -> bool:
    """Whether the arrays of a file, by their keys, are those of an archive of volumes."""
    return "volumes" in keys and "images" not in keys


def read_volumes(path: str | PathLike[str]) -> VolumeArchive:
    """Read and check one .npz file of volumes.

    Raises:
        MedtlError: file missing, damaged or holding pickles, or a key that breaks a rule; one line.
    """
    file = Path(path)
    arrays = read_arrays(file)
    check_volumes(arrays, str(file))
    labels = arrays.get("labels")
    return VolumeArchive(
        name=file.stem,
        volumes=np.ascontiguousarray(arrays["volumes"]),
        masks=arrays.get("masks"),
        mask_names=tuple(arrays["mask_names"].tolist()) if "mask_names" in arrays else (),
        labels=None if labels is None else labels.astype(np.int64),
        class_names=tuple(arrays["class_names"].tolist()) if "class_names" in arrays else (),
        groups=arrays.get("groups"),
        domains=arrays.get("domains"),
        splits=arrays.get("splits"),
        metadata={key: arrays[key] for key in arrays if key not in RESERVED_KEYS},
        origin=str(arrays.get("origin", "patients")),
        provenance=tuple(arrays["provenance"].tolist()) if "provenance" in arrays else (),
    )


def write_volumes(archive: VolumeArchive, path: str | PathLike[str]) -> None:
    """Check volumes and write them as one .npz file that appears whole or not at all.

    Raises:
        MedtlError: the archive breaks a rule, or there is no right or no space to write.
    """
    for key in sorted(set(archive.metadata) & set(RESERVED_KEYS)):
        raise refusal(str(path), key, "it among the metadata", "another name: this one is the archive's own")
    columns = ("masks", "labels", "groups", "domains", "splits")
    arrays = {key: column for key in columns if (column := getattr(archive, key)) is not None}
    for key in ("mask_names", "class_names", "provenance"):
        if getattr(archive, key):
            arrays[key] = np.array(getattr(archive, key))
    if archive.origin != "patients":
        arrays["origin"] = np.array(archive.origin)
    arrays = {**archive.metadata, "volumes": archive.volumes, **arrays}
    check_volumes(arrays, str(path))
    write_arrays(Path(path), arrays)


def check_volumes(arrays: Mapping[str, np.ndarray], source: str) -> None:
    """Check the arrays of an archive of volumes; the rest keeps the rules of `check_arrays`.

    Raises:
        MedtlError: at the first broken rule; one line with source, key, what was found and expected.
    """
    if not holds_volumes(arrays):
        found = "images" if "images" in arrays else "no such key"
        raise refusal(source, "volumes", found, "volumes and no images; read images with read_archive")
    volumes = arrays["volumes"]
    if volumes.dtype != np.uint8 or volumes.ndim != 4 or volumes.size == 0:
        raise refusal(
            source,
            "volumes",
            described(volumes),
            "uint8 grey values 0 to 255 of shape (N, D, H, W); choose a window and scale it",
        )
    if "masks" in arrays and (arrays["masks"].dtype != np.uint8 or arrays["masks"].shape != volumes.shape):
        expected = f"uint8 {volumes.shape}, one value per voxel"
        raise refusal(source, "masks", described(arrays["masks"]), expected)
    if ("labels" in arrays) != ("class_names" in arrays):
        key = "class_names" if "labels" in arrays else "labels"
        raise refusal(source, key, "no such key", "labels and class_names together or neither")
    n, depth, height, width = volumes.shape
    rest = {key: array for key, array in arrays.items() if key not in ("volumes", "masks")}
    rest.setdefault("labels", np.zeros(n, np.int64))
    rest.setdefault("class_names", np.array(_NO_CLASSES))
    rest["images"] = volumes.reshape(n, depth * height, width)
    if "masks" in arrays:
        rest["masks"] = arrays["masks"].reshape(n, depth * height, width)
    check_arrays(rest, source)
