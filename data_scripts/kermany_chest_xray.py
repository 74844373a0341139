"""Paediatric chest X-rays of Kermany et al. (Cell 172, 2018): chest_xray/{train,test,val}/{NORMAL,PNEUMONIA}.

The patient is the number in the file's name. Where it stands in two splits, `medtl data audit` says so.
A name cannot tell whether it is the same child.
"""

from pathlib import Path

from medtl_core.data.importers import Listing, Problems, list_folders
from medtl_core.data.importers.script import run

PATIENT = r"(person\d+|(?:NORMAL2-)?IM-\d+)"


def list_cases(source: Path, problems: Problems) -> Listing:
    """The cases of the folder chest_xray."""
    return list_folders(source, problems, patient=PATIENT)


if __name__ == "__main__":
    run(list_cases)
