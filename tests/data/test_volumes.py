"""Archives of volumes: written and read back, refused where a rule is broken, listed, shown and audited."""

import os
from pathlib import Path

import numpy as np
import pytest

from medtl_core.data import cards
from medtl_core.data.archives.archive import read_archive
from medtl_core.data.archives.volumes import VolumeArchive, read_volumes, write_volumes
from medtl_core.data.auditing.report import volume_audit
from medtl_core.data.sources import registry
from medtl_core.errors import MedtlError

N, SHAPE = 24, (6, 20, 16)
RNG = np.random.default_rng(0)
VOLUMES = RNG.integers(0, 256, (N, *SHAPE), dtype=np.uint8)
MASKS = (VOLUMES > 200).astype(np.uint8)
PATIENTS = np.array([f"p{i // 2}" for i in range(N)])


def made(**changes) -> VolumeArchive:
    content = {
        "volumes": VOLUMES,
        "masks": MASKS,
        "mask_names": ("background", "bright"),
        "groups": PATIENTS,
        "metadata": {"age": np.arange(N)},
    } | changes
    return VolumeArchive("made", **content)


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDTL_DATA", str(tmp_path))
    monkeypatch.setenv("MEDTL_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_written_volumes_are_read_back(tmp_path):
    labelled = made(
        labels=np.arange(N) % 2, class_names=("a", "b"), origin="synthetic", provenance=("drawn",)
    )
    for archive in (made(), labelled, made(masks=None, mask_names=())):
        write_volumes(archive, tmp_path / "made.npz")
        back = read_volumes(tmp_path / "made.npz")
        for key, value in vars(archive).items():
            np.testing.assert_equal(getattr(back, key), value)


def test_the_layout_without_labels_is_read_as_it_is(tmp_path):
    np.savez(tmp_path / "brains.npz", volumes=VOLUMES, masks=MASKS, mask_names=np.array(["x", "y"]))
    archive = read_volumes(tmp_path / "brains.npz")
    assert (archive.n, archive.shape, archive.labels, archive.class_names) == (N, SHAPE, None, ())


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"volumes": VOLUMES.astype(float)}, "volumes"),
        ({"volumes": VOLUMES[0]}, "volumes"),
        ({"volumes": VOLUMES[:0]}, "volumes"),
        ({"masks": MASKS[:, 1:]}, "masks"),
        ({"masks": MASKS + 2}, "masks"),
        ({"mask_names": ()}, "mask_names"),
        ({"groups": PATIENTS[1:]}, "groups"),
        ({"labels": np.zeros(N, int)}, "class_names"),
        ({"labels": np.full(N, 2), "class_names": ("a", "b")}, "labels"),
        ({"splits": np.array(["training"] * N)}, "splits"),
        ({"metadata": {"images": VOLUMES}}, "images"),
        ({"metadata": {"patient": PATIENTS}}, "patient"),
        ({"metadata": {"age": np.arange(3)}}, "age"),
    ],
)
def test_a_broken_rule_is_told(tmp_path, changes, key):
    with pytest.raises(MedtlError, match=f"key '{key}'.*found.*(expected|did you mean)"):
        write_volumes(made(**changes), tmp_path / "made.npz")
    assert list(tmp_path.iterdir()) == []


def test_images_and_volumes_are_not_taken_for_each_other(tmp_path):
    write_volumes(made(), tmp_path / "made.npz")
    with pytest.raises(MedtlError, match="volumes are for segmentation"):
        read_archive(tmp_path / "made.npz")
    names = np.array(["a", "b"])
    np.savez(tmp_path / "flat.npz", images=VOLUMES[:, 0], labels=np.arange(N) % 2, class_names=names)
    with pytest.raises(MedtlError, match="read images with read_archive"):
        read_volumes(tmp_path / "flat.npz")
    both = {"images": VOLUMES[:, 0], "labels": np.arange(N) % 2, "class_names": names, "volumes": VOLUMES}
    np.savez(tmp_path / "both.npz", **both)
    with pytest.raises(MedtlError, match="volumes beside images"):
        read_archive(tmp_path / "both.npz")


def test_pictures_hold_every_voxel_and_sections_the_middle():
    archive = made()
    np.testing.assert_array_equal(archive.pictures().images[3, 2 * 20 + 7], VOLUMES[3, 2, 7])
    np.testing.assert_array_equal(archive.pictures().masks.ravel(), MASKS.ravel())
    sections = archive.sections().images
    assert sections.shape == (N, 20, 60)
    np.testing.assert_array_equal(sections[5, :, 2:18], VOLUMES[5, 3])
    np.testing.assert_array_equal(sections[5, 7:13, 22:38], VOLUMES[5, :, 10])
    np.testing.assert_array_equal(sections[5, 7:13, 40:60], VOLUMES[5, :, :, 8])
    assert not sections[:, :7, 20:].any()


def test_volumes_are_listed_shown_and_verified(data):
    write_volumes(made(), data / "made.npz")
    card = registry.card("made")
    assert (card.n, card.volume, card.class_names) == (N, SHAPE, ())
    assert registry.load_volumes("made").n == N
    assert [each.text for each in registry.verify("made")] == ["24 volumes, no checksum to compare with"]
    lines = str(cards.volume_card(registry.load_volumes("made"), card)).splitlines()
    assert "images     24 grey volumes, 6 x 20 x 16 voxels, values 0 to 255 of 0 to 255" in lines
    assert "classes    none" in lines
    assert any(line.startswith("masks      background 7") for line in lines)
    with pytest.raises(MedtlError, match="found images, expected volumes"):
        registry.load_volumes(next(iter(registry.SPECS)))


@pytest.mark.slow
def test_volumes_are_audited(data):
    write_volumes(made(), data / "made.npz")
    card = registry.card("made")
    report = volume_audit(made(), card)
    assert (report.verdict.word, report.findings) == ("clean", ())
    volumes = VOLUMES.copy()
    volumes[20], volumes[4] = volumes[0], 0
    splits = np.array(["train"] * 16 + ["val"] * 4 + ["test"] * 4)
    report = volume_audit(made(volumes=volumes, splits=splits), card)
    kinds = {finding.kind: finding.count for finding in report.findings}
    assert kinds["identical_across_splits"] == kinds["constant_images"] == 1
    assert report.verdict.word == "leaky"
    changed = volumes.copy()
    changed[20, 0, 0, 0] ^= 1  # one voxel, outside the middle slices
    report = volume_audit(made(volumes=changed, splits=splits), card)
    assert "identical_images" not in {finding.kind for finding in report.findings}
    assert volume_audit(made(groups=None), card).verdict.word == "not auditable"


REAL = Path(os.environ.get("MEDTL_DATA", "")) / "hippocampus_3d.npz"


@pytest.mark.skipif(not REAL.is_file(), reason="hippocampus_3d.npz is not in MEDTL_DATA")
def test_the_hippocampus_is_read_as_it_is():
    archive = read_volumes(REAL)
    assert (archive.n, archive.shape) == (260, (40, 56, 40))
    assert archive.mask_names == ("background", "anterior", "posterior")
