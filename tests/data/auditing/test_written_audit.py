"""What is written of an audit: Markdown that shows names as they are, Croissant, the sheet of findings."""

import json
from dataclasses import replace

import numpy as np
import pytest
from test_report import CARD, made, near_copy

from medtl_core.data.auditing.croissant import CONTEXT, croissant_metadata
from medtl_core.data.auditing.markdown import markdown
from medtl_core.data.auditing.report import full_audit
from medtl_core.data.auditing.sheets import MOST, finding_sheet
from medtl_core.data.findings import Finding


def leaky():
    images = near_copy(made().images.copy(), 1, 101)
    splits = np.array(["train"] * 60 + ["val"] * 20 + ["test"] * 40)
    return made(images=images, splits=splits, domains=np.array(["x", "y"] * 60), provenance=("made up",))


def test_markdown_has_verdict_tables_and_findings():
    lines = markdown(full_audit(leaky(), CARD)).splitlines()
    assert lines[0] == "# made: made up"
    assert "Verdict of the audit: **leaky**" in lines
    assert "- 1 of 40 test images are nearly the same as train images" in lines
    assert "| class | all | train | val | test | domain x | domain y |" in lines
    assert "| a | 60 | 30 | 10 | 20 | 30 | 30 |" in lines
    assert any(line.startswith("| domain from thumbnails | 0.") for line in lines)


def test_names_are_no_markup():
    archive = replace(made(), class_names=("a|b", "<img src=x>"))
    text = markdown(full_audit(archive, replace(CARD, title="[x](y) *z*")))
    assert "a\\|b" in text
    assert "\\<img src=x\\>" in text
    assert "\\[x\\](y) \\*z\\*" in text


def test_croissant_uses_the_published_vocabulary():
    content = croissant_metadata(full_audit(leaky(), CARD), "made.npz", "0" * 64)
    assert json.loads(json.dumps(content)) == content
    own = set(CONTEXT) | {
        "@context",
        "@type",
        "@id",
        "rai:dataLimitations",
        "rai:dataBiases",
        "rai:dataCollection",
    }
    schema = {
        "name",
        "description",
        "license",
        "url",
        "distribution",
        "contentUrl",
        "encodingFormat",
        "sha256",
    }
    used = set()

    def walk(node):
        if isinstance(node, dict):
            used.update(node)
            for key, value in node.items():
                if key not in ("data", "@context"):
                    walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(content)
    assert used <= own | schema
    assert "url" not in content  # nothing empty is claimed
    assert "near" in " ".join(content["rai:dataLimitations"])
    assert content["recordSet"][0]["data"] == [
        {"classes/name": "a", "classes/images": 60},
        {"classes/name": "b", "classes/images": 60},
    ]


def test_croissant_is_accepted_by_its_own_library():
    mlcroissant = pytest.importorskip("mlcroissant")
    data = mlcroissant.Dataset(jsonld=croissant_metadata(full_audit(leaky(), CARD), "made.npz", "0" * 64))
    assert not data.metadata.ctx.issues.errors
    assert len(list(data.records("classes"))) == 2


def test_the_sheet_shows_the_images_that_findings_name():
    archive = leaky()
    findings = (
        Finding("near_duplicates", 2, ((1, 101),), "words"),
        Finding("group_across_splits", 1, ("p7",), "names of groups are no images"),
        Finding("constant_images", 9, tuple((case,) for case in range(9)), "words"),
    )
    sheet = finding_sheet(archive, findings)
    panels = np.array(sheet.figure.axes).reshape(2, MOST)
    np.testing.assert_array_equal(panels[0, 1].images[0].get_array(), archive.images[101])
    assert panels[0, 1].get_title() == "101 a"
    assert [sum(bool(panel.images) for panel in row) for row in panels] == [2, MOST]
    assert sheet.png().startswith(b"\x89PNG")
    assert finding_sheet(archive, findings[1:2]) is None
