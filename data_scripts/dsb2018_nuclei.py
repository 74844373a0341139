"""Nuclei of the Data Science Bowl 2018 (Caicedo et al., Nature Methods 16, 2019).

ID/images/ID.png and ID/masks/*.png. A mask holds one nucleus; all masks of an image are joined. The set has
no classes: images with more nuclei than the median are called dense, the others sparse, and the count is kept
as `nuclei`. Neither patients nor slides are published.
"""

import statistics
from collections import defaultdict
from pathlib import Path

from medtl_core.data.importers import Case, Listing, Problems
from medtl_core.data.importers.scan import scan
from medtl_core.data.importers.script import Script
from medtl_core.data.sources.publication import Publication
from medtl_core.errors import MedtlError

PUBLICATION = Publication(
    "dsb2018_nuclei",
    "https://bbbc.broadinstitute.org/BBBC038",
    "one folder for each image, with images/ and masks/",
    url="https://data.broadinstitute.org/bbbc/BBBC038/stage1_train.zip",
)


def list_cases(source: Path, problems: Problems) -> Listing:
    """The cases of the folder stage1_train, as it is unpacked."""
    files, notes = scan(source, lambda path: path.suffix.lower() == ".png", problems)
    images: dict[str, Path] = {}
    masks: defaultdict[str, list[Path]] = defaultdict(list)
    for file in files:
        if file.parent.name == "images":
            images[file.parts[0]] = file
        elif file.parent.name == "masks":
            masks[file.parts[0]].append(file)
    for name in sorted(set(masks) - set(images)):
        problems.add(MedtlError(f"{name}: found masks without an image, expected images/{name}.png"))
    for name in sorted(set(images) - set(masks)):
        problems.add(MedtlError(f"{name}: found an image without masks, expected masks/*.png"))
    complete = sorted(set(images) & set(masks))
    if not complete:
        raise MedtlError(f"{source}: found no image with masks, expected folders such as ID/images, ID/masks")
    middle = statistics.median(len(masks[name]) for name in complete)
    cases = tuple(
        Case(
            source / images[name],
            images[name].as_posix(),
            "dense" if len(masks[name]) > middle else "sparse",
            masks=tuple(source / mask for mask in masks[name]),
            extra={"nuclei": str(len(masks[name]))},
        )
        for name in complete
    )
    notes += [
        f"classes: dense above {middle:g} nuclei, the median, else sparse",
        "masks: all nuclei of an image joined",
        "no patients: images of one slide may stand in two splits",
    ]
    return Listing(cases, ("dense", "sparse"), tuple(notes), mask_names=("background", "nucleus"))


SCRIPT = Script(list_cases, PUBLICATION)

if __name__ == "__main__":
    SCRIPT.run()
