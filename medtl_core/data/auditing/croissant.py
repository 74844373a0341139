"""An audited archive in the Croissant format 1.0 of MLCommons: JSON-LD that data catalogues read.

The vocabulary is that of https://docs.mlcommons.org/croissant/docs/croissant-spec.html and of its extension
for responsible AI (`rai:`). Croissant knows no .npz, so the file stands under `distribution` with its
checksum, and the classes are a record set of their own.
"""

from typing import Any

from medtl_core.data.auditing.report import AuditReport
from medtl_core.data.auditing.shortcuts import KINDS

CONFORMS_TO = "http://mlcommons.org/croissant/1.0"
RAI_CONFORMS_TO = "http://mlcommons.org/croissant/RAI/1.0"
_OWN = (
    "citeAs", "column", "extract", "field", "fileProperty", "fileObject", "fileSet", "format", "includes",
    "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet", "references", "regex",
    "repeated", "replace", "samplingRate", "separator", "source", "subField", "transform",
)  # fmt: skip
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{word: f"cr:{word}" for word in _OWN},
}


def croissant_metadata(report: AuditReport, file: str, sha256: str) -> dict[str, Any]:
    """The archive and what its audit found, as a dictionary for JSON.

    Args:
        file: name of the archive's file, such as `chest.npz`.
        sha256: of that file, in hexadecimal.
    """
    d = report.description
    biases = [finding.text for finding in report.findings if finding.kind in KINDS]
    limits = [finding.text for finding in report.findings if finding.kind not in KINDS]
    content = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": [CONFORMS_TO, RAI_CONFORMS_TO],
        "name": d["name"],
        "description": f"{d['title']}. {d['images']} images. Verdict of the audit: {report.verdict}.",
        "license": d["licence"],
        "citeAs": d["citation"],
        "url": d["url"],
        "rai:dataLimitations": limits,
        "rai:dataBiases": biases,
        "rai:dataCollection": d["provenance"],
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": "archive",
                "name": file,
                "contentUrl": file,
                "encodingFormat": "application/zip",
                "sha256": sha256,
            }
        ],
        "recordSet": [_classes(d["classes"])] if d["classes"] else [],
    }
    return {key: value for key, value in content.items() if value not in ("", [])}


def _classes(counts: dict[str, int]) -> dict[str, Any]:
    """The classes with their numbers of images, as an enumeration with its values in place."""
    columns = (("name", "sc:Text", "what the class is called"), ("images", "sc:Integer", "images of it"))
    return {
        "@type": "cr:RecordSet",
        "@id": "classes",
        "name": "classes",
        "description": "label k is the k-th row",
        "dataType": "sc:Enumeration",
        "key": {"@id": "classes/name"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"classes/{name}",
                "name": f"classes/{name}",
                "description": description,
                "dataType": kind,
            }
            for name, kind, description in columns
        ],
        "data": [{"classes/name": name, "classes/images": count} for name, count in counts.items()],
    }
