"""Chest X-rays of Shih et al. (Radiology: Artificial Intelligence 1, 2019), in DICOM.

stage_2_detailed_class_info.csv and stage_2_train_images/*.dcm. The csv repeats an image for each of its
boxes; it counts once. The images were chosen from NIH ChestX-ray14: never train on one and test on the
other. `patientId` names an image, not a patient: NIH has several images of some patients.
"""

from pathlib import Path

from medtl_core.data.importers import Columns, Listing, Problems, list_table
from medtl_core.data.importers.csv_rows import Row
from medtl_core.data.importers.script import Script
from medtl_core.data.sources.publication import Publication

COLUMNS = Columns(image="patientId", label="class", patient="", site="", split="", mask="")
PUBLICATION = Publication(
    "rsna_pneumonia",
    "https://www.kaggle.com/c/rsna-pneumonia-detection-challenge",
    "stage_2_detailed_class_info.csv and stage_2_train_images/",
)


def list_cases(source: Path, problems: Problems) -> Listing:
    """The cases of the folder that holds the csv file and the folder of DICOM files."""
    table = source / "stage_2_detailed_class_info.csv"
    return list_table(table, source / "stage_2_train_images", problems, COLUMNS, prepare=_once)


def _once(columns: list[str], rows: list[Row]) -> tuple[list[str], list[Row], list[str]]:
    """Rows that say the same as one before are left out."""
    first = {tuple(row.cells.values()): row for row in reversed(rows)}
    kept = sorted(first.values(), key=lambda row: row.line)
    return columns, kept, [f"left out: {len(rows) - len(kept)} rows that repeat another"]


SCRIPT = Script(list_cases, PUBLICATION)

if __name__ == "__main__":
    SCRIPT.run()
