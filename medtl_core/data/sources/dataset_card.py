"""What is known of a data set before its images are read."""

from dataclasses import dataclass, replace
from pathlib import Path

from medtl_core.data.archives.checks import check_image_shape, missing_key, refusal
from medtl_core.data.archives.medmnist import is_medmnist_layout, numbered_class_names, published_as
from medtl_core.data.archives.medmnist_table import CITATION, PublishedSet
from medtl_core.data.archives.volumes import holds_volumes
from medtl_core.data.phantoms.spec import PhantomSpec
from medtl_core.data.sources.locations import cache_folder
from medtl_core.files import read_arrays, read_shapes


@dataclass(frozen=True)
class DatasetCard:
    """What is known of a data set without reading its images.

    Attributes:
        size: pixels a side, the larger one if they differ.
        channels: 1 for grey, 3 for RGB.
        url: publisher's address, empty if there is none.
        md5: of the publisher's file, empty if there is none.
        location: where `load` takes it from: `phantoms`, `MEDTL_DATA`, `cache`, or `publisher` if it has
            to be fetched first.
        path: its file, None for phantoms and for what has to be fetched.
        volume: depth, height and width of a volume, None for images.
    """

    name: str
    title: str
    n: int
    size: int
    channels: int
    class_names: tuple[str, ...]
    licence: str
    citation: str
    url: str
    md5: str
    location: str
    path: Path | None
    volume: tuple[int, int, int] | None = None


def phantom_card(name: str, spec: PhantomSpec) -> DatasetCard:
    """The card of a phantom set."""
    return DatasetCard(
        name=name,
        title=f"digital phantoms, {', '.join(spec.classes)}",
        n=spec.n,
        size=spec.size,
        channels=3 if spec.colour else 1,
        class_names=spec.classes,
        licence="none needed: drawn by this package",
        citation="digital phantoms of this package",
        url="",
        md5="",
        location="phantoms",
        path=None,
    )


def published_card(row: PublishedSet) -> DatasetCard:
    """The card of a set that a publisher offers."""
    return DatasetCard(
        name=row.name,
        title=f"{row.title} (multi-label, not supported)" if row.multi_label else row.title,
        n=row.n,
        size=row.size,
        channels=row.channels,
        class_names=row.class_names,
        licence=row.licence,
        citation=CITATION,
        url=row.url,
        md5=row.md5,
        location="publisher",
        path=None,
    )


def file_card(name: str, path: Path) -> DatasetCard:
    """The card of an archive on this machine, from its headers, class names and, if need be, labels.

    A publisher's title, class names and licence are those of a file of the publisher's name and content; a
    file of one's own under such a name is not the publisher's.

    Raises:
        MedtlError: the file cannot be read or holds no images.
    """
    shapes = read_shapes(path)
    if holds_volumes(shapes):
        return _volume_card(name, path, shapes["volumes"])
    medmnist = is_medmnist_layout(shapes)
    parts = [
        shape for key, shape in shapes.items() if key == "images" or (medmnist and key.endswith("_images"))
    ]
    if not parts:
        raise missing_key(shapes, "images", str(path))
    check_image_shape(parts[0], str(parts[0]), str(path))
    location = "cache" if path.parent == cache_folder() else "MEDTL_DATA"
    if medmnist:
        labels = list(read_arrays(path, lambda key: key.endswith("_labels")).values())
        published = published_as(name, parts, labels)
        if published is not None:
            return replace(published_card(published), location=location, path=path)
        class_names = numbered_class_names(labels, str(path))
    else:
        named = read_arrays(path, lambda key: key == "class_names").get("class_names", ())
        class_names = tuple(str(each) for each in named)
    return DatasetCard(
        name=name,
        title=f"archive {path.name}",
        n=sum(shape[0] for shape in parts),
        size=max(parts[0][1:3]),
        channels=1 if len(parts[0]) == 3 else 3,
        class_names=class_names,
        licence="not stated in the archive",
        citation="not stated in the archive",
        url="",
        md5="",
        location=location,
        path=path,
    )


def _volume_card(name: str, path: Path, shape: tuple[int, ...]) -> DatasetCard:
    if len(shape) != 4:
        raise refusal(str(path), "volumes", str(shape), "shape (N, D, H, W)")
    n, depth, height, width = shape
    named = read_arrays(path, lambda key: key == "class_names").get("class_names", ())
    return DatasetCard(
        name=name,
        title=f"archive of volumes {path.name}",
        n=n,
        size=max(height, width),
        channels=1,
        class_names=tuple(str(each) for each in named),
        licence="not stated in the archive",
        citation="not stated in the archive",
        url="",
        md5="",
        location="cache" if path.parent == cache_folder() else "MEDTL_DATA",
        path=path,
        volume=(depth, height, width),
    )
