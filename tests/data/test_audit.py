"""The audit counts what was planted, and nothing in clean data."""

import os
from pathlib import Path

import numpy as np
import pytest

from medtl_core.data.archives.archive import Archive, read_archive
from medtl_core.data.audit import audit
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
