"""The canonical data set: images, labels and what belongs to them, in one .npz file."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from pathlib import Path

import numpy as np

from medtl_core.data.archives.checks import check_arrays, refusal
from medtl_core.data.archives.keys import RESERVED_KEYS
from medtl_core.data.archives.medmnist import from_medmnist, is_medmnist_layout
from medtl_core.data.archives.natural import as_arrays
from medtl_core.files import read_arrays, write_arrays


@dataclass(frozen=True, eq=False)
class Archive:
    """One data set in memory; N images, K classes.

    Attributes:
        name: the stem of its file, or the name in the registry.
        images: uint8 (N, H, W) grey or (N, H, W, 3) RGB, grey values 0 to 255.
        labels: int64 (N,) in 0..K-1.
        class_names: K names; label k is class_names[k].
        groups: text (N,) or None; patient or lesion, "" or "nan" where it is unknown (`data.groups`).
        domains: text (N,) or None; site, scanner or source.
        masks: uint8 (N, H, W) or None; value m is mask_names[m].
        mask_names: names of the mask values, empty without masks.
        splits: text (N,) of train, val, test as published, or None.
        metadata: any other array whose first axis has length N.
        origin: `patients`, or `synthetic` for images that were drawn by a program.
        provenance: sentences about how the archive was made from its source (`data.importers`), or none.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    groups: np.ndarray | None = None
    domains: np.ndarray | None = None
    masks: np.ndarray | None = None
    mask_names: tuple[str, ...] = ()
    splits: np.ndarray | None = None
    metadata: dict[str, np.ndarray] = field(default_factory=dict)
    origin: str = "patients"
    provenance: tuple[str, ...] = ()

    @property
    def synthetic(self) -> bool:
        """Whether the images were drawn by a program, so that nothing measured on them is about patients."""
        return self.origin == "synthetic"

    @property
    def n(self) -> int:
        """Number of images."""
        return len(self.images)

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self.images.shape[1]

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self.images.shape[2]

    @property
    def channels(self) -> int:
        """1 for grey, 3 for RGB."""
        return 1 if self.images.ndim == 3 else 3

    @property
    def n_classes(self) -> int:
        """Number of classes, those without an image included."""
        return len(self.class_names)

    @cached_property
    def checksum(self) -> str:
        """SHA-256 of the content in hexadecimal; the name does not count."""
        digest = hashlib.sha256()
        for key, array in sorted(self._arrays().items()):
            plain = np.ascontiguousarray(array)
            digest.update(f"{key} {plain.dtype.kind}{plain.shape}".encode())
            if plain.dtype.kind == "U":
                # Text is padded to the longest entry of the array: hash the entries, not the padding.
                digest.update("\0".join(plain.ravel().tolist()).encode())
            else:
                digest.update(plain.dtype.str.encode())
                digest.update(plain.tobytes())
        return digest.hexdigest()

    def subset(self, index: np.ndarray | slice | list[int]) -> "Archive":
        """The cases at `index` (integers, a mask of length N or a slice) with all that belongs to them."""
        columns = {key: array[index] for key, array in self._columns()}
        return Archive(
            name=self.name,
            images=self.images[index],
            labels=self.labels[index],
            class_names=self.class_names,
            mask_names=self.mask_names,
            groups=columns.get("groups"),
            domains=columns.get("domains"),
            masks=columns.get("masks"),
            splits=columns.get("splits"),
            metadata={key: array[index] for key, array in self.metadata.items()},
            origin=self.origin,
            provenance=self.provenance,
        )

    def _columns(self) -> Iterator[tuple[str, np.ndarray]]:
        for key in ("groups", "domains", "masks", "splits"):
            column = getattr(self, key)
            if column is not None:
                yield key, column

    def _arrays(self) -> dict[str, np.ndarray]:
        arrays = {"images": self.images, "labels": self.labels, "class_names": np.array(self.class_names)}
        arrays.update(self._columns())
        if self.mask_names:
            arrays["mask_names"] = np.array(self.mask_names)
        if self.origin != "patients":  # the default is not written: older files keep their checksum
            arrays["origin"] = np.array(self.origin)
        if self.provenance:
            arrays["provenance"] = np.array(self.provenance)
        return {**self.metadata, **arrays}


def read_archive(path: str | PathLike[str]) -> Archive:
    """Read and check one .npz file, in the archive's own layout or in MedMNIST's.

    Groups that stand in two published splits are read: `splits.split` refuses them and `audit.audit`
    reports them, so that a leaking data set can be studied.

    Raises:
        MedtlError: file missing, damaged or holding pickles, or a key that breaks a rule; one line.
    """
    file = Path(path)
    arrays = read_arrays(file)
    if is_medmnist_layout(arrays):
        arrays = from_medmnist(arrays, file.stem, str(file))
    check_arrays(arrays, str(file))
    return Archive(
        name=file.stem,
        images=np.ascontiguousarray(arrays["images"]),
        labels=arrays["labels"].astype(np.int64),
        class_names=tuple(arrays["class_names"].tolist()),
        groups=arrays.get("groups"),
        domains=arrays.get("domains"),
        masks=arrays.get("masks"),
        mask_names=tuple(arrays["mask_names"].tolist()) if "mask_names" in arrays else (),
        splits=arrays.get("splits"),
        metadata={key: array for key, array in arrays.items() if key not in RESERVED_KEYS},
        origin=str(arrays.get("origin", "patients")),
        provenance=tuple(arrays["provenance"].tolist()) if "provenance" in arrays else (),
    )


def write_archive(archive: Archive, path: str | PathLike[str]) -> None:
    """Check an archive and write it as one .npz file that appears whole or not at all.

    Its arrays may be lists, tensors on the CPU or columns of pandas as well (`natural.as_arrays`).

    Raises:
        MedtlError: the archive breaks a rule, or there is no right or no space to write.
    """
    _require_own_keys(archive, str(path))
    arrays = as_arrays(archive._arrays(), str(path))
    check_arrays(arrays, str(path))
    write_arrays(Path(path), arrays)


def validate(archive: Archive, source: str) -> None:
    """Check an archive in memory by the rules of its file; `source` is what a message calls it.

    Raises:
        MedtlError: at the first broken rule.
    """
    _require_own_keys(archive, source)
    check_arrays(archive._arrays(), source)


def _require_own_keys(archive: Archive, source: str) -> None:
    for key in sorted(set(archive.metadata) & set(RESERVED_KEYS)):
        raise refusal(source, key, "it among the metadata", "another name: this one is the archive's own")
