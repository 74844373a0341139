"""The check of data sets by name before a kernel starts, with the checksums that a run's key holds."""

from dataclasses import dataclass
from functools import cache

from medtl_core.data.measurable import (
    in_words,
    require_masks,
    require_measurable,
    require_sizes,
    require_square,
)
from medtl_core.data.sources.registry import checksum, load, local_names
from medtl_core.data.splits import cases_of_domain


@dataclass(frozen=True)
class Examined:
    """What remains of a data set that was read, and can be measured: the images are not kept."""

    n_classes: int
    n_train: int
    has_masks: bool
    checksum: str


@cache
def examined(name: str, domain: str | None, published: bool) -> Examined:
    """A data set, read once for all notebooks of a run.

    Raises:
        MedtlError: it cannot be loaded, or not be measured (`require_measurable`).
    """
    archive = load(name)
    parts = require_measurable(archive, domain=domain, published=published)
    return Examined(archive.n_classes, len(parts.train), archive.masks is not None, checksum(name))


def measurable_checksum(
    name: str,
    *,
    domain: str | None = None,
    train_sizes: tuple[int, ...] = (),
    val_size: int = 0,
    test_size: int = 0,
    published: bool = True,
    masks: bool = False,
) -> str:
    """SHA-256 (hex) of a data set that can be measured as asked: see `require_measurable` for arguments.

    Raises:
        MedtlError: it cannot be loaded, or not be measured as asked.
    """
    found = examined(name, domain, published)
    if masks:
        require_masks(in_words(name, domain), found.has_masks)
    require_sizes(in_words(name, domain), found.n_classes, found.n_train, train_sizes, val_size, test_size)
    return found.checksum


@cache
def image_checksum(name: str, *, domain: str | None = None) -> str:
    """SHA-256 (hex) of a data set of which the images alone are used, whole or of one domain.

    Raises:
        MedtlError: it cannot be loaded, its images are not square, or it has no such domain.
    """
    archive = load(name)
    require_square(archive)
    cases_of_domain(archive, domain)
    return checksum(name)


@cache
def comparable_checksum(name: str) -> str | None:
    """SHA-256 (hex) of a data set whose images are only looked at; None if it would have to be fetched.

    Raises:
        MedtlError: it cannot be loaded, or its images are not square.
    """
    if name not in local_names():
        return None
    require_square(load(name))
    return checksum(name)
