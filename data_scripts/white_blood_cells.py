"""White blood cells of Zheng et al. (Micron 107, 2018).

`Dataset 1/001.bmp`, its mask `Dataset 1/001.png`, and the labels in a csv file for each of two data sets. Two
laboratories with a stain and a microscope each are two domains. The csv numbers the classes. A mask holds
background (0), cytoplasm (128) and nucleus (255). Patients are not published.
"""

from dataclasses import replace
from pathlib import Path

from medtl_core.data.importers import Columns, Listing, Problems, joined, list_table
from medtl_core.data.importers.csv_rows import Row
from medtl_core.data.importers.script import Script
from medtl_core.data.sources.publication import Publication

CLASSES = {"1": "neutrophil", "2": "lymphocyte", "3": "monocyte", "4": "eosinophil", "5": "basophil"}
SITES = {"jiangxi": "Dataset 1", "cellavision": "Dataset 2"}
MASKS = {0: "background", 128: "cytoplasm", 255: "nucleus"}
COLUMNS = Columns(image="image ID", label="class label", patient="", site="", split="", mask="mask")
PUBLICATION = Publication(
    "white_blood_cells",
    "https://github.com/zxaoyou/segmentation_WBC",
    "'Dataset 1', 'Dataset 2' and 'Class Labels of Dataset 1.csv'",
    url="https://github.com/zxaoyou/segmentation_WBC/archive/refs/heads/master.zip",
)


def list_cases(source: Path, problems: Problems) -> Listing:
    """The cases of a folder with both data sets and their csv files."""
    listings = {}
    for site, name in SITES.items():
        table = source / f"Class Labels of {name}.csv"
        listings[site] = list_table(table, source / name, problems, COLUMNS, prepare=_named)
    listing = joined(listings)
    cases = tuple(replace(case, mask_values=tuple(MASKS)) for case in listing.cases)
    return replace(listing, cases=cases, mask_names=tuple(MASKS.values()))


def _named(columns: list[str], rows: list[Row]) -> tuple[list[str], list[Row], list[str]]:
    """Image 7 is the file 007.bmp with the mask 007.png, and class 1 the neutrophils."""
    named = []
    for row in rows:
        number, label = (row.cells.get(name, "") for name in ("image ID", "class label"))
        stem = number.zfill(3)
        cells = {"image ID": f"{stem}.bmp", "mask": f"{stem}.png", "class label": CLASSES.get(label, "")}
        named.append(Row(row.line, row.cells | cells))
    return [*columns, "mask"], named, ["classes: 1 to 5 named as the publisher says"]


SCRIPT = Script(list_cases, PUBLICATION)

if __name__ == "__main__":
    SCRIPT.run()
