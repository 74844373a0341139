"""The check of data sets by name before a kernel starts, with the checksums that a run's key holds."""

from functools import cache

from medtl_core.data.measurable import require_measurable, require_square
from medtl_core.data.sources.registry import checksum, load, local_names


@cache
def measurable_checksum(
    name: str,
    *,
    domain: str | None = None,
    train_sizes: tuple[int, ...] = (),
    val_size: int = 0,
    test_size: int = 0,
    published: bool = True,
) -> str:
    """SHA-256 (hex) of a data set that can be measured as asked: see `require_measurable` for arguments.

    Raises:
        MedtlError: it cannot be loaded, or not be measured as asked.
    """
    require_measurable(
        load(name),
        domain=domain,
        train_sizes=train_sizes,
        val_size=val_size,
        test_size=test_size,
        published=published,
    )
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
