"""Files in MedMNIST's own layout are read as archives, with the publisher's class names."""

import numpy as np
import pytest
from archive_files import refused, saved

from medtl_core.data.archives.archive import read_archive


def medmnist(**changes):
    rng = np.random.default_rng(0)
    content = {}
    for split, n in (("train", 8), ("val", 3), ("test", 4)):
        content[f"{split}_images"] = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        content[f"{split}_labels"] = (np.arange(n, dtype=np.uint8) % 2)[:, None]
    content |= changes
    return {key: value for key, value in content.items() if value is not None}


def test_medmnist_layout(tmp_path):
    archive = read_archive(saved(tmp_path, "breastmnist_64", **medmnist()))
    assert archive.class_names == ("malignant", "normal, benign")
    assert archive.splits.tolist() == ["train"] * 8 + ["val"] * 3 + ["test"] * 4
    np.testing.assert_array_equal(archive.images[8:11], medmnist()["val_images"])
    assert archive.labels.tolist() == [0, 1] * 4 + [0, 1, 0] + [0, 1] * 2
    assert read_archive(saved(tmp_path, "own", **medmnist())).class_names == ("class_0", "class_1")


@pytest.mark.parametrize(
    ("changes", "key", "found"),
    [
        ({"val_labels": None}, "val_labels", "no such key"),
        ({"extra": np.zeros(3)}, "extra", "extra"),
        ({"test_labels": np.zeros((3, 1), int)}, "test_labels", "3 labels"),
        ({"test_labels": np.zeros((4, 14), int)}, "test_labels", "multi-label"),
        ({"test_labels": np.zeros((4, 1))}, "test_labels", "float64"),
        ({"test_labels": np.zeros((4, 1, 1), int)}, "test_labels", "(4, 1, 1)"),
        ({"val_images": np.zeros((3, 64, 64), np.uint8)}, "val_images", "(3, 64, 64)"),
        ({"val_images": np.zeros((3, 28, 28), int)}, "val_images", "int64"),
        ({"train_labels": np.full((8, 1), 7)}, "labels", "0 to 7"),
    ],
)
def test_broken_medmnist_layout(tmp_path, changes, key, found):
    line = refused(saved(tmp_path, "breastmnist", **medmnist(**changes)))
    assert f"key '{key}'" in line
    assert found in line


def test_volumes_are_refused(tmp_path):
    volumes = {
        f"{split}_images": np.zeros((n, 28, 28, 28), np.uint8)
        for split, n in (("train", 8), ("val", 3), ("test", 4))
    }
    assert "expected shape (N, H, W)" in refused(saved(tmp_path, **medmnist(**volumes)))
