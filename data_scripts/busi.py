"""Breast ultrasound of Al-Dhabyani et al. (Data in Brief 28, 2020): benign (1).png, benign (1)_mask.png.

One folder for each class. A case may have several masks, which are joined. Patients are not published.
"""

from pathlib import Path

from medtl_core.data.importers import Listing, Problems, list_folders
from medtl_core.data.importers.script import Script
from medtl_core.data.sources.publication import Publication

PUBLICATION = Publication(
    "busi", "https://doi.org/10.1016/j.dib.2019.104863", "benign/, malignant/ and normal/"
)


def list_cases(source: Path, problems: Problems) -> Listing:
    """The cases of the folder Dataset_BUSI_with_GT."""
    return list_folders(source, problems, mask_suffix="_mask")


SCRIPT = Script(list_cases, PUBLICATION)

if __name__ == "__main__":
    SCRIPT.run()
