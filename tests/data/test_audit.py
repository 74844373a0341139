"""The audit counts what was planted, and nothing in clean data."""

import os
from pathlib import Path

import numpy as np
import pytest

from medtl_core.data.archives.archive import Archive, read_archive
from medtl_core.data.audit import audit, audit_as_used
from medtl_core.data.splits import Split, split


def planted(groups=True) -> Archive:
    """20 distinct images but: 5, 6, 7 copy 0 (7 of the other class); 15 copies 1; 18 copies 14."""
    images = np.random.default_rng(0).integers(0, 256, (20, 4, 4), dtype=np.uint8)
    for copy, original in ((5, 0), (6, 0), (7, 0), (15, 1), (18, 14)):
        images[copy] = images[original]
    labels = np.zeros(20, dtype=np.int64)
    labels[[7, 9, 19]] = 1
    splits = np.array(["train"] * 10 + ["val"] * 4 + ["test"] * 6)
    patients = np.array([f"p{i}" for i in range(20)])
    patients[5], patients[16], patients[17] = "p0", "p2", "p12"
    return Archive("planted", images, labels, ("a", "b"), groups=patients if groups else None, splits=splits)


def found(report) -> list:
    return [(finding.kind, finding.count) for finding in report.findings]


def test_planted_troubles_are_counted():
    report = audit(planted())
    assert found(report) == [
        ("identical_images", 8),
        ("conflicting_labels", 4),
        ("identical_across_groups", 8),
        ("group_across_splits", 2),
        ("identical_across_splits", 1),
    ]
    assert report.leaks
    by_kind = {finding.kind: finding for finding in report.findings}
    assert by_kind["identical_images"].examples == ((0, 5, 6, 7), (1, 15), (14, 18))
    assert by_kind["group_across_splits"].examples == ("p12", "p2")
    assert by_kind["identical_across_splits"].examples == ((1, 15),)
    assert "1 of 6 test images are pixel-identical to train images" in report.text()
    assert "8 of 20 images" in report.text()
    assert len(report.text().splitlines()) == 5


def test_twins_inside_one_group_are_not_across_groups():
    archive = planted()
    same = Archive(**vars(archive) | {"groups": np.array(["p"] * 20)})
    assert "identical_across_groups" not in dict(found(audit(same)))


def test_the_given_split_is_judged_instead_of_the_published_one():
    apart = Split(np.array([0, 5, 6, 7]), np.array([2]), np.array([3, 4]))
    report = audit(planted(), apart)
    assert not report.leaks
    torn = Split(np.array([0, 5]), np.array([6, 2]), np.array([3, 7]))
    counts = [
        finding for finding in audit(planted(), torn).findings if finding.kind == "identical_across_splits"
    ]
    assert [finding.text for finding in counts] == [
        "1 of 2 val images are pixel-identical to train images",
        "1 of 2 test images are pixel-identical to train images",
        "1 of 2 test images are pixel-identical to val images",
    ]


def test_own_split_leaks_nothing_with_and_without_groups():
    for groups in (True, False):
        archive = planted(groups)
        assert audit(archive).leaks
        for seed in range(5):
            assert not audit(archive, split(archive, seed=seed, published=False)).leaks


def test_clean_data_give_no_finding():
    images = np.arange(64, dtype=np.uint8).reshape(16, 2, 2)
    clean = Archive("clean", images, np.arange(16) % 2, ("a", "b"))
    assert audit(clean).findings == ()
    assert audit(clean, split(clean)).findings == ()
    assert audit(clean).text().startswith("no identical images")


BRAINS = Path(os.environ.get("MEDTL_DATA", "")) / "brain_mri_64.npz"


@pytest.mark.skipif(not BRAINS.is_file(), reason="brain_mri_64.npz is not in MEDTL_DATA")
def test_published_split_of_the_brain_tumours_leaks_as_is_known():
    texts = audit(read_archive(BRAINS)).text()
    assert "251 of 394 test images are pixel-identical to train images" in texts


def clean(**changes) -> Archive:
    images = np.random.default_rng(1).integers(0, 256, (60, 4, 4), dtype=np.uint8)
    content = {"images": images, "labels": np.arange(60) % 2} | changes
    return Archive("clean", class_names=("a", "b"), **content)


def test_constant_images_are_neither_copies_nor_leaks():
    archive = clean(splits=np.array(["train", "train", "val", "val", "test", "test"] * 10))
    assert audit(archive).findings == ()
    archive.images[:12] = 7  # in every part, with both labels
    assert found(audit(archive)) == [("constant_images", 12)]
    assert audit(archive).findings[0].examples[0] == (0,)
    archive.images[12:14] = archive.images[20]
    kinds = dict(found(audit(archive)))
    assert (kinds["constant_images"], kinds["identical_images"]) == (12, 3)
    assert not audit(archive, split(archive, published=False)).leaks


def test_cases_without_a_patient_are_counted_and_leak_nothing():
    groups = np.array(["", "nan", "None"] * 10 + [f"p{i // 2}" for i in range(30)])
    archive = clean(groups=groups, splits=np.array(["train", "val", "test"] * 20))
    kinds = dict(found(audit(archive)))
    assert kinds == {"unknown_groups": 30, "group_across_splits": 15}
    assert "30 of 60 images have no known group" in audit(archive).text()


@pytest.mark.parametrize(
    ("domains", "told"),
    [
        (["x", "y"] * 30, True),
        (["x", "y", "x", "z"] * 15, True),  # class b comes from two sites, and none of them has another class
        (["x", "y"] * 29 + ["x", "x"], False),
        (["x"] * 60, False),
    ],
)
def test_a_domain_that_gives_the_class_away(domains, told):
    assert found(audit(clean(domains=np.array(domains)))) == ([("class_is_domain", 60)] if told else [])


def test_values_that_were_scaled_to_one_before_they_were_rounded():
    images = (clean().images / 255).astype(np.uint8)
    images[:, 0, :2] = np.array([0, 1])
    assert ("unscaled_values", 60) in found(audit(clean(images=images)))


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"images": np.zeros((60, 4, 4), np.uint8)}, "constant_images"),
        ({"labels": np.zeros(60, np.int64)}, "not_measurable"),
        ({"groups": np.array(["p", "q"] * 30)}, "not_measurable"),
        ({"images": np.random.default_rng(0).integers(0, 256, (60, 4, 5), np.uint8)}, "not_measurable"),
    ],
)
def test_images_are_audited_where_no_split_can_be_dealt(changes, kind):
    report = audit_as_used(clean(**changes))
    assert kind in dict(found(report))
    assert all("\n" not in finding.text for finding in report.findings)


def test_the_audit_as_used_judges_the_dealt_split_or_the_published_one():
    assert audit_as_used(clean()).findings == ()
    report = dict(found(audit_as_used(planted())))
    assert report["group_across_splits"] == 2
    assert report["not_measurable"] == 20
    without = Archive(**vars(planted()) | {"splits": None, "labels": np.arange(20) % 2})
    assert "identical_across_splits" not in dict(found(audit_as_used(without)))
