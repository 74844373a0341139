"""CT slices of Zhao et al. (COVID-CT-Dataset, 2020): Images-processed/CT_COVID and CT_NonCOVID.

The slices were cut from publications. The group is the publication as the file's name gives it, so that two
figures of one paper stay together. The publisher's split is not read: it deals patients, who are not in the
names, and one paper may stand in several parts of it.
"""

from pathlib import Path

from medtl_core.data.importers import Listing, Problems, list_folders
from medtl_core.data.importers.script import Script
from medtl_core.data.sources.publication import Publication

# 2020.01.24.919183-p27-132.png, PIIS0140673620303603%8.png, 40%1.jpg, 673.png
PAPER = r"/([^/]+?)(?:-p\d+-[^/]*|%[^/]*)?\.\w+$"
PUBLICATION = Publication(
    "covid_ct_ucsd",
    "https://github.com/UCSD-AI4H/COVID-CT",
    "Images-processed/ with CT_COVID/ and CT_NonCOVID/",
    url="https://github.com/UCSD-AI4H/COVID-CT/archive/refs/heads/master.zip",
    nested=True,
)


def list_cases(source: Path, problems: Problems) -> Listing:
    """The cases of the folder that holds Images-processed, its two archives unpacked."""
    return list_folders(source / "Images-processed", problems, patient=PAPER)


SCRIPT = Script(list_cases, PUBLICATION)

if __name__ == "__main__":
    SCRIPT.run()
