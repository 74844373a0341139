"""Can it be measured? Whether a study can train, validate and test on an archive, asked before it starts."""

from collections.abc import Iterable

from medtl_core.data.archives.archive import Archive
from medtl_core.data.splits import Split, split
from medtl_core.errors import MedtlError


def require_measurable(
    archive: Archive,
    *,
    domain: str | None = None,
    train_sizes: Iterable[int] = (),
    val_size: int = 0,
    test_size: int = 0,
    published: bool = True,
    masks: bool = False,
) -> Split:
    """The split (seed 0) of an archive on which a study can be carried out; what is wrong with it otherwise.

    Images are square, since networks take squares; every class is in training, validation and test, since
    AUROC needs every class; and there are cases enough for the sizes asked for.

    Args:
        domain: only the cases of this domain are used.
        train_sizes: training images of each subset to be drawn.
        val_size, test_size: images of the subset to be drawn, or all if there are fewer; 0: all of them.
        published: False ignores the published split.
        masks: the study needs the outlines of objects.

    Raises:
        MedtlError: one line that names what is missing, where, and what to do.
    """
    where = in_words(archive.name, domain)
    require_square(archive)
    if masks:
        require_masks(where, archive.masks is not None)
    parts = split(archive, seed=0, domain=domain, published=published)
    require_sizes(where, archive.n_classes, len(parts.train), train_sizes, val_size, test_size)
    return parts


def require_masks(where: str, has_masks: bool) -> None:
    """MedtlError for data without masks. `where` is what the message calls them."""
    if not has_masks:
        raise MedtlError(
            f"{where}: found no masks, expected the outline of an object; choose another data set"
        )


def require_sizes(
    where: str,
    n_classes: int,
    n_train: int,
    train_sizes: Iterable[int],
    val_size: int = 0,
    test_size: int = 0,
) -> None:
    """MedtlError for sizes that cannot be drawn of `n_classes` and `n_train` training images.

    `where` is what the message calls the data; the sizes are those of `require_measurable`.
    """
    train_sizes = tuple(train_sizes)
    asked = [
        *(("training", size) for size in train_sizes),
        *((part, size) for part, size in (("validation", val_size), ("test", test_size)) if size),
    ]
    for part, size in asked:
        if size < n_classes:
            raise MedtlError(
                f"{where}: found {size} {part} images asked for, expected at least {n_classes}, "
                "one of each class; ask for more"
            )
    if max(train_sizes, default=0) > n_train:
        raise MedtlError(
            f"{where}: found {n_train} training images, expected at least the {max(train_sizes)} asked for; "
            "ask for fewer"
        )


def in_words(name: str, domain: str | None) -> str:
    """What messages call an archive, or one domain of it."""
    return name if domain is None else f"{name}, domain '{domain}'"


def require_square(archive: Archive) -> None:
    """MedtlError for images that are not square: networks take squares, and stretching distorts."""
    if archive.height != archive.width:
        raise MedtlError(
            f"{archive.name}: found images of {archive.height} x {archive.width} px (height x width), "
            "expected square ones; crop or pad them first"
        )
