"""Skin lesions of Tschandl et al. (Scientific Data 5, 2018): HAM10000_metadata.csv and folders of jpg files.

Several images show one lesion, so that the lesion is the group; `dataset` is the source.
"""

from pathlib import Path

from medtl_core.data.importers import Columns, Listing, Problems, list_table
from medtl_core.data.importers.script import Script
from medtl_core.data.sources.publication import Publication

COLUMNS = Columns(image="image_id", label="dx", patient="lesion_id", site="dataset", split="", mask="")
METADATA = ("dx_type", "age", "sex", "localization")
PUBLICATION = Publication(
    "ham10000", "https://doi.org/10.7910/DVN/DBW86T", "HAM10000_metadata.csv and the images"
)


def list_cases(source: Path, problems: Problems) -> Listing:
    """The cases of a folder with HAM10000_metadata.csv and, at any depth, the images."""
    return list_table(source / "HAM10000_metadata.csv", source, problems, COLUMNS, keep=METADATA)


SCRIPT = Script(list_cases, PUBLICATION)

if __name__ == "__main__":
    SCRIPT.run()
