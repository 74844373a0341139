"""Files in MedMNIST's own layout are read as archives, with the publisher's class names."""

import numpy as np
import pytest
from archive_files import refused, saved

from medtl_core.data.archives.archive import read_archive
from medtl_core.data.sources.dataset_card import file_card


def medmnist(counts=(8, 3, 4), size=28, **changes):
    rng = np.random.default_rng(0)
    content = {}
    for split, n in zip(("train", "val", "test"), counts, strict=True):
        content[f"{split}_images"] = rng.integers(0, 256, (n, size, size), dtype=np.uint8)
        content[f"{split}_labels"] = (np.arange(n, dtype=np.uint8) % 2)[:, None]
    content |= changes
    return {key: value for key, value in content.items() if value is not None}


def test_medmnist_layout(tmp_path):
    archive = read_archive(saved(tmp_path, "own", **medmnist()))
    assert archive.class_names == ("class_0", "class_1")
    assert archive.splits.tolist() == ["train"] * 8 + ["val"] * 3 + ["test"] * 4
    np.testing.assert_array_equal(archive.images[8:11], medmnist()["val_images"])
    assert archive.labels.tolist() == [0, 1] * 4 + [0, 1, 0] + [0, 1] * 2


BREASTS = (546, 78, 156)  # images in BreastMNIST's parts


@pytest.mark.parametrize(
    ("name", "counts", "size", "changes", "published"),
    [
        ("breastmnist", BREASTS, 28, {}, True),
        ("breastmnist_64", BREASTS, 64, {}, True),
        ("breastmnist", BREASTS, 64, {}, False),  # the name of the set at 28 px
        ("breastmnist_64", BREASTS, 28, {}, False),
        ("breastmnist", (545, 78, 156), 28, {}, False),
        ("breastmnist", BREASTS, 28, {"val_labels": np.arange(78)[:, None] % 3}, False),
        ("breastmnist_mine", BREASTS, 28, {}, False),
        ("mine", BREASTS, 28, {}, False),
    ],
)
def test_published_names_are_for_published_content(tmp_path, name, counts, size, changes, published):
    archive = read_archive(saved(tmp_path, name, **medmnist(counts, size, **changes)))
    card = file_card(name, tmp_path / f"{name}.npz")
    assert card.class_names == archive.class_names
    if published:
        assert archive.class_names == ("malignant", "normal, benign")
        assert (card.licence, "BreastMNIST" in card.title) == ("CC BY 4.0", True)
    else:
        assert archive.class_names == tuple(f"class_{k}" for k in range(3 if changes else 2))
        assert (card.licence, card.url, "MNIST" in card.title) == ("not stated in the archive", "", False)


def test_an_archive_of_ones_own_under_a_published_name_is_ones_own(tmp_path):
    images = np.zeros((780, 28, 28), np.uint8)
    path = saved(
        tmp_path, "breastmnist", images=images, labels=np.arange(780) % 2, class_names=np.array(["x", "y"])
    )
    assert file_card("breastmnist", path).class_names == ("x", "y")
    assert file_card("breastmnist", path).licence == "not stated in the archive"


@pytest.mark.parametrize(
    ("changes", "key", "found"),
    [
        ({"val_labels": None}, "val_labels", "no such key"),
        ({"extra": np.zeros(3)}, "extra", "extra"),
        ({"test_labels": np.zeros((3, 1), int)}, "test_labels", "3 labels"),
        ({"test_labels": np.zeros((4, 14), int)}, "test_labels", "multi-label"),
        ({"test_labels": np.zeros((4, 1))}, "test_labels", "float64"),
        ({"train_labels": np.full((8, 1), 7)}, "train_labels", "3 different values from 0 to 7"),
        ({"train_labels": np.full((8, 1), 10**9)}, "train_labels", "from 0 to 1000000000"),
        ({"train_labels": np.full((8, 1), -1)}, "train_labels", "from -1 to 1"),
        ({"test_labels": np.zeros((4, 1, 1), int)}, "test_labels", "(4, 1, 1)"),
        ({"val_images": np.zeros((3, 64, 64), np.uint8)}, "val_images", "(3, 64, 64)"),
        ({"val_images": np.zeros((3, 28, 28), int)}, "val_images", "int64"),
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
