"""Hippocampus of the Medical Segmentation Decathlon (Antonelli et al., Nature Communications 13, 2022).

imagesTr/hippocampus_001.nii.gz and labelsTr/hippocampus_001.nii.gz, with background (0), anterior (1) and
posterior (2) part. Coronal slices are images; the class of a slice is the part that has more of its mask,
or background. A volume is a patient. Grey values are windowed by the percentiles 1 and 99 of each volume.
"""

from pathlib import Path

from medtl_core.data.importers import Case, Listing, Problems, Window
from medtl_core.data.importers.nifti import is_nifti
from medtl_core.data.importers.scan import scan
from medtl_core.data.importers.script import Script
from medtl_core.data.sources.publication import Publication
from medtl_core.errors import MedtlError

MASKS = {0: "background", 1: "anterior", 2: "posterior"}
PUBLICATION = Publication(
    "msd_hippocampus",
    "http://medicaldecathlon.com",
    "imagesTr/ and labelsTr/",
    url="https://msd-for-monai.s3-us-west-2.amazonaws.com/Task04_Hippocampus.tar",
    suffix=".tar",
    md5="9d24dba78a72977dbd1d2e110310f31b",
)


def list_cases(source: Path, problems: Problems) -> Listing:
    """The cases of the folder Task04_Hippocampus."""
    images, notes = scan(source / "imagesTr", is_nifti, problems)
    cases = []
    for file in images:
        mask = source / "labelsTr" / file
        if mask.is_file():
            name = file.as_posix()
            patient = name.partition(".nii")[0]
            cases.append(
                Case(source / "imagesTr" / file, name, "", patient, masks=(mask,), mask_values=tuple(MASKS))
            )
        else:
            problems.add(MedtlError(f"imagesTr/{file}: found no labelsTr/{file}, expected its mask"))
    if not cases:
        raise MedtlError(f"{source}: found no volume with a mask, expected imagesTr and labelsTr")
    names = tuple(MASKS.values())
    notes += [
        "patients: every volume is one",
        "classes: the part that has more of a slice's mask, else background",
    ]
    return Listing(tuple(cases), names, tuple(notes), mask_names=names, labelled_by_masks=True)


SCRIPT = Script(list_cases, PUBLICATION, Window(1, 99, percent=True), plane="coronal")

if __name__ == "__main__":
    SCRIPT.run()
