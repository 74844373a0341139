"""Paediatric chest X-rays of Kermany et al. (Cell 172, 2018): chest_xray/{train,test,val}/{NORMAL,PNEUMONIA}.

The patient is the number in the file's name. Where it stands in two splits, `medtl data audit` says so.
A name cannot tell whether it is the same child.
"""

from pathlib import Path

from medtl_core.data.importers import Listing, Problems, list_folders
from medtl_core.data.importers.script import Script
from medtl_core.data.sources.publication import Publication

PATIENT = r"(person\d+|(?:NORMAL2-)?IM-\d+)"
PUBLICATION = Publication(
    "kermany_chest_xray", "https://data.mendeley.com/datasets/rscbjbr9sj", "train/, test/ and val/"
)


def list_cases(source: Path, problems: Problems) -> Listing:
    """The cases of the folder chest_xray."""
    return list_folders(source, problems, patient=PATIENT)


SCRIPT = Script(list_cases, PUBLICATION)

if __name__ == "__main__":
    SCRIPT.run()
