"""De-identification: planted tags of every kind are reported without values, and none enters an archive."""

import numpy as np
import pytest
from made_up_dicom import save_dicom
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset

from medtl_core.data.archives.archive import read_archive
from medtl_core.data.importers.cases import Problems
from medtl_core.data.importers.dicom import PATIENTS, is_dicom
from medtl_core.data.importers.dicom_leaks import KINDS, found_in, header_leaks
from medtl_core.data.importers.folders import list_folders
from medtl_core.data.importers.frame import Frame
from medtl_core.data.importers.importing import import_archive
from medtl_core.data.importers.window import Window
from medtl_core.errors import MedtlError

SECRETS = {
    "PatientBirthDate": "19780503",
    "StudyDate": "20200102",
    "StudyInstanceUID": "1.2.826.0.1.99",
    "AccessionNumber": "ACC777",
    "InstitutionName": "Saint Elsewhere",
    "ReferringPhysicianName": "House^Gregory",
    "StudyDescription": "Knee of the mayor",
    "PatientComments": "Lives at the harbour",
    "PatientSex": "F",
    "PatientAge": "042Y",
}


def leaky_file(path):
    return save_dicom(path, patient="SECRET42", BurnedInAnnotation="YES", **SECRETS)


def test_each_kind_of_tag_is_reported_and_no_value(tmp_path):
    leaky_file(tmp_path / "a" / "1.dcm")
    report = header_leaks(tmp_path)
    assert report.leaks == {
        "name": {"PatientName": 1, "ReferringPhysicianName": 1},
        "identifier": {"AccessionNumber": 1, "PatientID": 1},
        "date": {"StudyDate": 1},
        "uid": {"MediaStorageSOPInstanceUID": 1, "SOPInstanceUID": 1, "StudyInstanceUID": 1},
        "person": {"PatientAge": 1, "PatientBirthDate": 1, "PatientSex": 1},
        "place": {"InstitutionName": 1},
        "text": {"PatientComments": 1, "StudyDescription": 1},
        "burnt_in": {"BurnedInAnnotation": 1},
    }
    shown = report.text() + str(report.values())
    assert not any(secret in shown for secret in (*SECRETS.values(), "SECRET42", "Doe") if len(secret) > 1)


def test_nested_private_and_graphics_elements_are_found():
    header, inner = Dataset(), Dataset()
    inner.PersonName, inner.CodeValue = "Doe^Jane", "T-1"
    header.PersonIdentificationCodeSequence = [inner]
    header.private_block(0x0009, "MAKER", create=True).add_new(1, "LO", "x")
    header.add_new(0x60003000, "OW", b"\0\0")
    header.BurnedInAnnotation = "NO"
    assert {("name", "PersonName"), ("private", "(0009,1001)")} <= set(found_in(header))
    assert "graphics" in {kind for kind, _ in found_in(header)}
    assert "burnt_in" not in {kind for kind, _ in found_in(header)}


def test_an_empty_header_leaks_nothing():
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.PatientName, header.PatientID, header.BurnedInAnnotation = "", "", "NO"
    header.SOPClassUID, header.Rows = "1.2.840.10008.5.1.4.1.1.2", 12
    assert list(found_in(header)) == []
    assert {kind for kind, _ in found_in(Dataset())} == {"burnt_in"} <= set(KINDS)


def test_files_are_counted(tmp_path):
    leaky_file(tmp_path / "1.dcm")
    save_dicom(tmp_path / "2.dcm", PatientIdentityRemoved="YES", BurnedInAnnotation="NO")
    (tmp_path / "3.dcm").write_bytes(b"no DICOM")
    report = header_leaks(tmp_path)
    assert (report.files, report.marked, report.unreadable) == (2, 1, 1)
    assert report.leaks["name"] == {"PatientName": 2, "ReferringPhysicianName": 1}
    with pytest.raises(MedtlError, match="no such folder"):
        header_leaks(tmp_path / "nowhere")


def test_no_tag_of_a_person_enters_an_archive(tmp_path):
    for index, name in enumerate(("ill", "well") * 2):
        leaky_file(tmp_path / "in" / name / f"Doe_Jane_{index}.dcm")
    problems = Problems()
    listing = list_folders(
        tmp_path / "in", problems, patient=None, mask_suffix="", meant=is_dicom, otherwise=PATIENTS
    )
    out = tmp_path / "set.npz"
    import_archive(listing, Frame(12, window=Window.parse("0:143")), out, problems)
    with np.load(out) as content:
        text = " ".join(str(content[key].tolist()) for key in content.files if content[key].dtype.kind == "U")
    assert not any(
        secret in text for secret in (*SECRETS.values(), "SECRET42", "Doe", "Jane") if len(secret) > 1
    )
    assert set(read_archive(out).groups.tolist()) == {"patient_1"}
