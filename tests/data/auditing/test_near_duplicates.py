"""Near duplicates: altered copies are found, other drawings are not; the hash against its definition."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.fft import dct
from scipy.ndimage import gaussian_filter

from medtl_core.data.archives.archive import Archive, read_archive
from medtl_core.data.auditing.near_duplicates import near_pairs, perceptual_hashes
from medtl_core.data.auditing.near_findings import near_findings
from medtl_core.data.phantoms.phantoms import SPECS, draw


def textures(n=120, side=48, seed=0):
    """Smooth random textures, no two alike."""
    noise = np.random.default_rng(seed).normal(size=(n, side, side))
    smooth = gaussian_filter(noise, (0, 3, 3))
    low, high = smooth.min(axis=(1, 2), keepdims=True), smooth.max(axis=(1, 2), keepdims=True)
    return np.rint((smooth - low) / (high - low) * 255).astype(np.uint8)


def jpeg(image):
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=60)
    return np.asarray(Image.open(stream))


def smaller(image):
    there = Image.fromarray(image).resize((32, 32), Image.Resampling.BILINEAR)
    return np.asarray(there.resize((48, 48), Image.Resampling.BILINEAR))


def marked(image):
    changed = image.copy()
    changed[1:4, 1:7] = 255
    return changed


ALTERED = {
    "compressed": jpeg,
    "resampled": smaller,
    "brighter": lambda image: np.clip(image * 0.8 + 40, 0, 255).astype(np.uint8),
    "noisy": lambda image: np.clip(image + np.random.default_rng(0).normal(0, 6, image.shape), 0, 255).astype(
        np.uint8
    ),
    "marked": marked,
}


def test_the_hash_is_that_of_its_definition():
    image = textures(1)[:, :32, :32]
    twice = dct(dct(image[0].astype(float), axis=0), axis=1)
    low = twice[:8, :8].ravel()[1:]
    np.testing.assert_array_equal(perceptual_hashes(image)[0], low > np.median(low))


def test_different_images_make_no_pair():
    assert near_pairs(textures()).shape == (0, 2)
    assert near_pairs(np.random.default_rng(0).integers(0, 256, (300, 20, 24), np.uint8)).shape == (0, 2)


@pytest.mark.parametrize("alter", ALTERED)
def test_an_altered_copy_is_found(alter):
    images = textures()
    images[90], images[31] = ALTERED[alter](images[4]), ALTERED[alter](images[30])
    assert near_pairs(images).tolist() == [[4, 90], [30, 31]]


def test_the_hash_must_agree_too(monkeypatch):
    images = textures()
    images[90] = jpeg(images[4])
    assert len(near_pairs(images)) == 1
    monkeypatch.setattr("medtl_core.data.auditing.near_duplicates.MOST_BITS", -1)
    assert len(near_pairs(images)) == 0


def test_colour_and_blocks(monkeypatch):
    monkeypatch.setattr("medtl_core.data.auditing.near_duplicates._BLOCK", 7)
    images = np.repeat(textures()[..., None], 3, -1)
    images[90], images[31] = jpeg(images[4]), jpeg(images[30])
    assert near_pairs(images).tolist() == [[4, 90], [30, 31]]


@pytest.mark.slow
def test_identical_constant_and_tiny_images_make_no_pair():
    images = textures()
    images[5], images[10:20] = images[6], 0
    assert len(near_pairs(images)) == 0
    images[100] = jpeg(images[6])  # nearly both of the identical ones
    assert near_pairs(images).tolist() == [[5, 100], [6, 100]]
    images[3] = images[100]
    assert near_pairs(images).tolist() == [[3, 5], [3, 6], [5, 100], [6, 100]]
    assert len(near_pairs(textures(40, 15))) == 0
    assert len(near_pairs(np.zeros((5, 20, 20), np.uint8))) == 0


def test_findings_count_classes_groups_and_splits():
    pairs = np.array([[0, 1], [0, 5], [2, 9]])
    labels = np.array([0, 0, 0, 0, 0, 1, 0, 0, 0, 0])
    groups = np.array(["p", "p", "q", "", "", "r", "", "", "", ""])
    archive = Archive("made", np.zeros((10, 16, 16), np.uint8), labels, ("a", "b"), groups=groups)
    words = np.array(["train"] * 5 + ["test"] * 5)
    found = [each for each in near_findings(archive, pairs, words) if each]
    assert [(each.kind, each.count) for each in found] == [
        ("near_duplicates", 5),  # 0 1 2 5 9
        ("near_conflicting_labels", 2),  # 0 5
        ("near_across_groups", 2),  # 0 5; the patient of 9 is unknown
        ("near_across_splits", 2),  # 5 and 9 against training
    ]
    assert found[0].text == "5 of 10 images are nearly the same as another one (3 pairs)"
    assert found[3].text == "2 of 5 test images are nearly the same as train images"
    assert found[3].examples == ((0, 5), (2, 9))
    assert [each for each in near_findings(archive, np.empty((0, 2), int), words) if each] == []


@pytest.mark.slow
def test_phantoms_of_different_patients_are_not_near():
    name = next(iter(SPECS))
    archive = draw(SPECS[name], seed=0)
    pairs = near_pairs(archive.images[:400])
    assert len(pairs) <= 2, f"{name}: {len(pairs)} pairs"


BREAST = Path(os.environ.get("MEDTL_DATA", "")) / "breast_ultrasound_128.npz"


@pytest.mark.skipif(not BREAST.is_file(), reason="breast_ultrasound_128.npz is not in MEDTL_DATA")
def test_the_near_duplicates_of_breast_ultrasound():
    archive = read_archive(BREAST)
    pairs = near_pairs(archive.images)
    kinds = {each.kind: each.count for each in near_findings(archive, pairs, None) if each}
    assert len(pairs) >= 38  # of equal hash alone
    assert kinds["near_conflicting_labels"] >= 4
