"""CT slices of Soares et al. (SARS-CoV-2 CT-scan dataset, 2020).

COVID/Covid (1).png and non-COVID/Non-Covid (1).png. Patients are not published, and many slices show one
patient: what is measured inside this set is too good.
"""

from pathlib import Path

from medtl_core.data.importers import Listing, Problems, list_folders
from medtl_core.data.importers.script import Script
from medtl_core.data.sources.publication import Publication

PUBLICATION = Publication(
    "sars_cov_2_ct",
    "https://www.kaggle.com/datasets/plameneduardo/sarscov2-ctscan-dataset",
    "COVID/ and non-COVID/",
)


def list_cases(source: Path, problems: Problems) -> Listing:
    """The cases of the folder that holds COVID and non-COVID."""
    return list_folders(source, problems)


SCRIPT = Script(list_cases, PUBLICATION)

if __name__ == "__main__":
    SCRIPT.run()
