"""Brain tumours of Cheng et al. (PLOS ONE 10, 2015): 1.mat to 3064.mat, MATLAB 7.3, at any depth.

Each file holds one slice of T1-weighted MR with contrast agent: `cjdata/image`, `cjdata/label` (1 meningioma,
2 glioma, 3 pituitary tumour), `cjdata/PID`, the patient, and `cjdata/tumorMask`. Grey values are windowed by
the percentiles 1 and 99 of each slice.
"""

from pathlib import Path

from medtl_core.data.importers import Case, Listing, Problems, Window
from medtl_core.data.importers.cases import checked_classes
from medtl_core.data.importers.matlab import is_matlab, read_values
from medtl_core.data.importers.scan import scan
from medtl_core.data.importers.script import Script
from medtl_core.data.sources.publication import Publication
from medtl_core.errors import MedtlError

CLASSES = {"1": "meningioma", "2": "glioma", "3": "pituitary"}
PUBLICATION = Publication(
    "figshare_brain_tumours",
    "https://doi.org/10.6084/m9.figshare.1512427",
    "the .mat files of the archives in it",
    url="https://ndownloader.figshare.com/articles/1512427/versions/5",
    nested=True,
)


def list_cases(source: Path, problems: Problems) -> Listing:
    """The cases of a folder with the numbered .mat files; cvind.mat, the publisher's folds, is none."""
    files, notes = scan(source, lambda path: is_matlab(path) and path.stem.isdigit(), problems)
    cases = []
    for file in files:
        try:
            label, patient = read_values(source / file, str(file), ("cjdata/label", "cjdata/PID"))
            if label not in CLASSES:
                raise MedtlError(f"{file}: found the label {label}, expected 1, 2 or 3; get it again")
        except MedtlError as error:
            problems.add(error)
            continue
        cases.append(
            Case(
                source / file,
                file.as_posix(),
                CLASSES[label],
                patient=patient,
                masks=(source / file,),
                variables=("cjdata/image", "cjdata/tumorMask"),
            )
        )
    return Listing(
        tuple(cases),
        checked_classes((case.label for case in cases), str(source)),
        (*notes, "patients: cjdata/PID of each file", "masks: cjdata/tumorMask of each file"),
        mask_names=("background", "tumour"),
    )


SCRIPT = Script(list_cases, PUBLICATION, Window(1, 99, percent=True))

if __name__ == "__main__":
    SCRIPT.run()
