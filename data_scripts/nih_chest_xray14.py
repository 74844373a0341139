"""Chest X-rays of Wang et al. (CVPR 2017): Data_Entry_2017.csv and images_001/images/*.png to images_012.

Findings were read from reports by a program. Images with more than one finding are left out, as an archive
holds one label an image. Patients are known; test_list.txt, where it is there, is the published split.
"""

from pathlib import Path

from medtl_core.data.importers import Columns, Listing, Problems, list_table
from medtl_core.data.importers.csv_rows import Row
from medtl_core.data.importers.script import Script
from medtl_core.data.sources.publication import Publication
from medtl_core.files import read_text

IMAGE, LABEL = "Image Index", "Finding Labels"
METADATA = ("Follow-up #", "Patient Age", "View Position")
TEST = "test_list.txt"
PUBLICATION = Publication(
    "nih_chest_xray14",
    "https://nihcc.app.box.com/v/ChestXray-NIHCC",
    "Data_Entry_2017.csv and the folders of images",
)


def list_cases(source: Path, problems: Problems) -> Listing:
    """The cases of a folder with Data_Entry_2017.csv and, at any depth, the images."""
    tables = [source / name for name in ("Data_Entry_2017.csv", "Data_Entry_2017_v2020.csv")]
    table = next((path for path in tables if path.exists()), tables[0])
    test = source / TEST
    names = read_text(test, expected="names of images", remedy="get it again") if test.exists() else None

    def prepare(columns: list[str], rows: list[Row]) -> tuple[list[str], list[Row], list[str]]:
        single = [row for row in rows if "|" not in row.cells.get(LABEL, "")]
        notes = [f"left out: {len(rows) - len(single)} images of several findings"]
        if names is None:
            return columns, single, notes
        in_test = set(names.split())
        split = [
            Row(row.line, row.cells | {"split": "test" if row.cells.get(IMAGE) in in_test else "train"})
            for row in single
        ]
        return [*columns, "split"], split, [*notes, f"splits: test as {TEST} says"]

    columns = Columns(
        image=IMAGE,
        label=LABEL,
        patient="Patient ID",
        site="",
        split="" if names is None else "split",
        mask="",
    )
    return list_table(table, source, problems, columns, keep=METADATA, prepare=prepare)


SCRIPT = Script(list_cases, PUBLICATION)

if __name__ == "__main__":
    SCRIPT.run()
