"""Lists, tensors and columns of pandas become an archive; what cannot is one line."""

import numpy as np
import pandas as pd
import pytest
import torch

from medtl_core.data.archives.archive import Archive, read_archive, write_archive
from medtl_core.errors import MedtlError

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 8, 8), np.uint8)
LABELS = np.array([0, 1] * 3)
PATIENTS = ["p1", "p1", "p2", "p2", "03", "03"]


def archive(**changes) -> Archive:
    content = {"images": IMAGES, "labels": LABELS, "class_names": ("a", "b"), "groups": np.array(PATIENTS)}
    return Archive("x", **content | changes)


def written(folder, **changes) -> Archive:
    write_archive(archive(**changes), folder / "x.npz")
    return read_archive(folder / "x.npz")


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": [0, 1] * 3, "class_names": ["a", "b"]},
        {"images": list(IMAGES), "labels": pd.Series(LABELS)},
        {"images": torch.tensor(IMAGES), "labels": torch.tensor(LABELS)},
        {"groups": PATIENTS},
        {"groups": pd.Series(PATIENTS)},
        {"groups": pd.Series(PATIENTS).to_numpy()},
        {"groups": pd.Series(PATIENTS, dtype=object).to_numpy()},
        {"groups": np.array(PATIENTS, np.dtypes.StringDType())},
    ],
    ids=str,
)
def test_what_people_have_gives_the_same_archive(tmp_path, changes):
    assert written(tmp_path, **changes).checksum == archive().checksum


def test_metadata_may_be_lists_and_columns(tmp_path):
    metadata = {"age": [1, 2, 3, 4, 5, 6], "sex": pd.Series(list("fmfmfm"))}
    found = written(tmp_path, metadata=metadata).metadata
    assert found["age"].tolist() == metadata["age"]
    assert found["sex"].tolist() == list("fmfmfm")


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_a_missing_patient_is_unknown_and_a_missing_domain_is_refused(tmp_path, missing):
    column = pd.Series([*PATIENTS[:5], missing], dtype=object)
    assert written(tmp_path, groups=column).groups.tolist() == [*PATIENTS[:5], ""]
    with pytest.raises(MedtlError, match="key 'domains': found object"):
        write_archive(archive(domains=column), tmp_path / "y.npz")


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"images": [IMAGES[0], IMAGES[1][:4]]}, "key 'images': found values that make no array"),
        (
            {"groups": [1, 1, 2, 2, 3, 3]},
            r"found int64 \(6,\), expected text, one per image; \.astype\(str\)",
        ),
        ({"labels": ["a", "b"] * 3}, "number the classes 0, 1"),
        ({"metadata": {"x": [object()] * 6}}, "key 'x': found Python objects"),
    ],
)
def test_what_makes_no_archive_is_one_line_and_nothing_is_written(tmp_path, changes, found):
    with pytest.raises(MedtlError, match=found) as error:
        write_archive(archive(**changes), tmp_path / "x.npz")
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []
