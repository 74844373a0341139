"""Blood cells of BCCD: BCCD/JPEGImages/BloodImage_00000.jpg, BCCD/Annotations/BloodImage_00000.xml.

An image of a smear holds many cells, each in a box: a box is a case, its class is WBC, RBC or Platelets. All
boxes of an image are one group, as patients are not published. The kinds of white cells are not in this
set. Boxes without an area are left out.
"""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

from medtl_core.data.importers import Case, Listing, Problems
from medtl_core.data.importers.cases import checked_classes
from medtl_core.data.importers.scan import scan
from medtl_core.data.importers.script import Script
from medtl_core.data.sources.publication import Publication
from medtl_core.errors import MedtlError

PARTS = ("train", "val", "test")
PUBLICATION = Publication(
    "bccd",
    "https://github.com/Shenggan/BCCD_Dataset",
    "BCCD/ with Annotations/ and JPEGImages/",
    url="https://github.com/Shenggan/BCCD_Dataset/archive/refs/heads/master.zip",
)


def list_cases(source: Path, problems: Problems) -> Listing:
    """The cases of the folder that holds BCCD."""
    root = source / "BCCD"
    files, _ = scan(root / "Annotations", lambda path: path.suffix == ".xml", problems)
    splits = _splits(root / "ImageSets" / "Main")
    cases: list[Case] = []
    empty = 0
    for file in files:
        image = root / "JPEGImages" / f"{file.stem}.jpg"
        try:
            found = _boxes(root / "Annotations" / file)
            if not image.is_file():
                raise MedtlError(
                    f"{file}: found no image {image.name}, expected it in JPEGImages; get it again"
                )
            if splits and file.stem not in splits:
                raise MedtlError(f"{file}: found it in no list of ImageSets/Main, expected it in one; add it")
        except MedtlError as error:
            problems.add(error)
            continue
        for number, (label, box) in enumerate(found):
            if box[0] >= box[2] or box[1] >= box[3]:
                empty += 1
                continue
            name = f"{image.name} box {number}"
            cases.append(Case(image, name, label, patient=file.stem, split=splits.get(file.stem), box=box))
    notes = [
        f"source: {len(cases)} boxes in {len(files)} images of blood smears",
        "patients: not published; the boxes of an image are one group",
    ]
    if splits:
        notes.append("splits: as ImageSets/Main says")
    if empty:
        notes.append(f"left out: {empty} boxes without an area")
    return Listing(tuple(cases), checked_classes((case.label for case in cases), str(root)), tuple(notes))


def _boxes(path: Path) -> list[tuple[str, tuple[int, int, int, int]]]:
    """Class and box of each cell of one annotation file."""
    try:
        objects = ElementTree.parse(path).getroot().findall("object")
        return [((each.findtext("name") or "").strip(), _box(each)) for each in objects]
    except (OSError, ElementTree.ParseError, ValueError) as error:
        raise MedtlError(
            f"{path.name}: found no annotation that can be read ({error}), expected xml; get it again"
        ) from error


def _box(cell: ElementTree.Element) -> tuple[int, int, int, int]:
    left, top, right, bottom = (
        int(cell.findtext(f"bndbox/{side}") or "") for side in ("xmin", "ymin", "xmax", "ymax")
    )
    return left, top, right, bottom


def _splits(folder: Path) -> dict[str, str]:
    """The part of each image, as the lists of its names say; empty where there are no lists."""
    splits: dict[str, str] = {}
    for part in PARTS:
        path = folder / f"{part}.txt"
        if path.is_file():
            splits |= dict.fromkeys(path.read_text(encoding="utf-8").split(), part)
    return splits


SCRIPT = Script(list_cases, PUBLICATION)

if __name__ == "__main__":
    SCRIPT.run()
