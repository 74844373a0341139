"""What in the headers of DICOM files would say who a patient is; after DICOM PS3.15, annex E.

The kinds are those of its Basic Application Level Confidentiality Profile (table E.1-1): names, identifiers,
dates, unique identifiers, places and devices, free text, private elements, graphics and burnt-in annotation.
No value is ever shown or kept, only the keyword and in how many files it stands. What is reported is found by
the kind of value (VR), so that elements of a later edition are found too. The report is no proof: a name in
a free text, or a face in a volume of the head, needs a reader.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medtl_core.data.importers.cases import Problems
from medtl_core.data.importers.dicom import is_dicom
from medtl_core.data.importers.scan import scan

if TYPE_CHECKING:
    from pydicom import DataElement, Dataset

KINDS = {
    "name": "names of persons",
    "identifier": "numbers and codes of persons and visits",
    "date": "dates and times",
    "uid": "unique identifiers, which lead back to the hospital's archive",
    "person": "birth, sex, age, address and the like",
    "place": "institutions, stations and devices",
    "text": "descriptions and comments",
    "private": "private elements, whose meaning only the maker knows",
    "graphics": "overlays and curves, which may show text",
    "burnt_in": "text in the pixels, or nobody says that there is none",
}
_BY_VR = {
    **dict.fromkeys(("PN",), "name"),
    **dict.fromkeys(("DA", "DT", "TM"), "date"),
    **dict.fromkeys(("LT", "ST", "UT"), "text"),
    "UI": "uid",
    "AS": "person",
}
# Unique identifiers of the standard itself, not of an examination.
_STANDARD_UIDS = ("SOPClassUID", "TransferSyntaxUID", "MappingResourceUID", "ContextUID", "CodingSchemeUID")
_IDENTIFIERS = (
    "PatientID",
    "AccessionNumber",
    "StudyID",
    "OtherPatientIDs",
    "AdmissionID",
    "IssuerOfPatientID",
)
_PERSON = ("PatientSex", "PatientSize", "PatientWeight", "EthnicGroup", "Occupation", "SmokingStatus")
_PLACE_WORDS = (
    "Institution",
    "Station",
    "DeviceSerialNumber",
    "DetectorID",
    "Address",
    "Telephone",
    "Department",
)
_TEXT_WORDS = ("Description", "Comments", "ProtocolName", "History", "Allerg", "Diagnos", "Reason")


@dataclass(frozen=True)
class LeakReport:
    """What was found in a folder.

    Attributes:
        files: DICOM files that were read.
        leaks: kind of `KINDS` to keyword to number of files.
        marked: files whose header says that the patient's identity was removed.
        unreadable: files that could not be read as DICOM.
    """

    files: int
    leaks: dict[str, dict[str, int]]
    marked: int
    unreadable: int

    def values(self) -> dict[str, Any]:
        """Numbers and dictionaries that JSON can hold."""
        return {
            "files": self.files,
            "leaks": self.leaks,
            "marked_as_removed": self.marked,
            "unreadable": self.unreadable,
        }

    def text(self) -> str:
        """One line a kind, with the keywords and in how many files each stands."""
        lines = [
            f"{self.files} DICOM files, {self.marked} marked as de-identified, {self.unreadable} unreadable"
        ]
        for kind, keywords in self.leaks.items():
            listed = ", ".join(f"{keyword} ({count})" for keyword, count in keywords.items())
            lines.append(f"{KINDS[kind]}: {listed}")
        return "\n".join([*lines, "an archive that medtl imports holds none of this but the pixels"])


def header_leaks(source: Path) -> LeakReport:
    """Read the headers of all DICOM files in a folder; pixels are not decoded.

    Raises:
        MedtlError: no such folder, or no file in it that may be DICOM.
    """
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    counts: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    files, marked, unreadable = 0, 0, 0
    for inner in scan(source, is_dicom, Problems(keep_going=True))[0]:
        try:
            header = dcmread(source / inner, stop_before_pixels=True)
            found = set(found_in(header))
        except (InvalidDicomError, OSError, EOFError, ValueError, KeyError, TypeError, AttributeError):
            unreadable += 1
            continue
        files += 1
        marked += header.get("PatientIdentityRemoved") == "YES"
        for kind, keyword in found:
            counts[kind][keyword] += 1
    leaks = {kind: dict(sorted(each.items())) for kind, each in counts.items() if each}
    return LeakReport(files, leaks, marked, unreadable)


def found_in(header: "Dataset") -> Iterator[tuple[str, str]]:
    """Kind and keyword of each element with a value that would leak, those of nested sequences included."""
    for element in _elements(header):
        kind = _kind(element)
        if kind is not None and not element.is_empty:
            yield kind, element.keyword or f"({element.tag.group:04X},{element.tag.elem:04X})"
    if header.get("BurnedInAnnotation") != "NO":
        yield "burnt_in", "BurnedInAnnotation"


def _elements(header: "Dataset") -> Iterator["DataElement"]:
    yield from getattr(header, "file_meta", None) or ()
    yield from header.iterall()


def _kind(element: "DataElement") -> str | None:
    keyword = element.keyword
    if element.tag.is_private:
        return "private"
    if element.tag.group & 0xFF00 in (0x5000, 0x6000):
        return "graphics"
    if keyword in _STANDARD_UIDS or keyword.endswith("ClassUID") or keyword == "ImplementationVersionName":
        return None
    if keyword in _IDENTIFIERS or keyword.endswith(("PatientID", "AccessionNumber")):
        return "identifier"
    if keyword in _PERSON or keyword.startswith("PatientBirth"):
        return "person"
    if any(word in keyword for word in _PLACE_WORDS):
        return "place"
    if any(word in keyword for word in _TEXT_WORDS) and element.VR in ("LO", "SH", "LT", "ST", "UT"):
        return "text"
    return _BY_VR.get(element.VR)
