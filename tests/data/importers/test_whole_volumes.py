"""Whole volumes: voxels against indices counted by hand, masks alike, and what does not fit is refused."""

import nibabel
import numpy as np
import pytest

from medtl_core.data.archives.volumes import read_volumes
from medtl_core.data.importers.whole_volumes import import_volumes
from medtl_core.data.importers.window import Window
from medtl_core.errors import MedtlError

VALUES = np.random.default_rng(0).integers(0, 256, (8, 8, 8), np.uint8)  # right, front, head
MASK = (VALUES // 100).astype(np.uint8)


def save(path, values=VALUES, affine=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4) if affine is None else affine), path)


def test_voxels_stand_where_they_are_in_the_patient(tmp_path):
    save(tmp_path / "v" / "a.nii")
    save(tmp_path / "m" / "a.nii", MASK)
    found = import_volumes(tmp_path / "v", tmp_path / "set.npz", size=8, masks=tmp_path / "m")
    for d, h, w in np.ndindex(8, 8, 8):
        assert found.volumes[0, d, h, w] == VALUES[7 - w, 7 - h, d]
    np.testing.assert_array_equal(found.masks[0], MASK[::-1, ::-1].transpose(2, 1, 0))
    assert found.mask_names == ("background", "label_1", "label_2")
    assert found.groups.tolist() == ["a"]
    back = read_volumes(tmp_path / "set.npz")
    np.testing.assert_array_equal(back.volumes, found.volumes)
    assert "8 bits without a window" in back.provenance


def test_the_order_of_axes_in_the_file_does_not_matter(tmp_path):
    save(tmp_path / "v" / "a.nii")
    affine = np.array([[0, -1, 0, 7], [0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1]], float)
    save(tmp_path / "v" / "b.nii", np.ascontiguousarray(VALUES.transpose(2, 0, 1)[:, ::-1]), affine)
    found = import_volumes(tmp_path / "v", tmp_path / "set.npz", size=8)
    np.testing.assert_array_equal(found.volumes[0], found.volumes[1])


def test_voxels_become_cubes_centred_on_black(tmp_path):
    save(tmp_path / "v" / "a.nii", np.full((8, 4, 2), 200, np.uint8), np.diag([1.0, 1.0, 2.0, 1.0]))
    found = import_volumes(tmp_path / "v", tmp_path / "set.npz", size=8)
    expected = np.zeros((8, 8, 8), np.uint8)
    expected[2:6, 2:6, :] = 200  # 4 mm high, 4 mm deep, 8 mm wide
    np.testing.assert_array_equal(found.volumes[0], expected)


def test_a_smaller_cube_takes_means_and_the_nearest_mask(tmp_path):
    ramp = np.broadcast_to(np.arange(16, dtype=np.uint8) * 10, (16, 16, 16)).copy()  # towards the head
    save(tmp_path / "v" / "a.nii", ramp)
    save(tmp_path / "m" / "a.nii", (ramp >= 80).astype(np.uint8))
    found = import_volumes(tmp_path / "v", tmp_path / "set.npz", size=8, masks=tmp_path / "m")
    np.testing.assert_allclose(found.volumes[0, 1:7, 4, 4], 20 * np.arange(1, 7) + 5, atol=1)
    assert found.masks[0, :, 4, 4].tolist() == [0] * 4 + [1] * 4


@pytest.mark.parametrize(
    ("values", "mask", "told"),
    [
        (VALUES.astype(np.int16) * 9, MASK, "expected 8 bits or a window"),
        (VALUES, None, "found no mask"),
        (VALUES, MASK[:7], "expected the .8, 8, 8. of its volume"),
        (VALUES, MASK + np.float32(0.5), "expected whole numbers"),
    ],
)
def test_what_does_not_fit_is_refused_and_leaves_nothing(tmp_path, values, mask, told):
    save(tmp_path / "v" / "a.nii", values)
    if mask is not None:
        save(tmp_path / "m" / "a.nii", mask)
    out = tmp_path / "out" / "set.npz"
    with pytest.raises(MedtlError, match=f"a.nii: .*{told}"):
        import_volumes(tmp_path / "v", out, size=8, masks=tmp_path / "m")
    assert not out.exists()


def test_a_window_and_names_of_masks(tmp_path):
    save(tmp_path / "v" / "a.nii.gz", VALUES.astype(np.int16) * 4)
    save(tmp_path / "m" / "a.nii.gz", MASK)
    names = ("air", "low", "high")
    found = import_volumes(
        tmp_path / "v",
        tmp_path / "set.npz",
        size=8,
        masks=tmp_path / "m",
        mask_names=names,
        window=Window.parse("0:1020"),
    )
    np.testing.assert_array_equal(found.volumes[0, 3, 0, 0], VALUES[7, 7, 3])
    assert found.mask_names == names
    with pytest.raises(MedtlError, match="expected a new file"):
        import_volumes(tmp_path / "v", tmp_path / "set.npz", size=8)


def test_a_damaged_file_is_one_line(tmp_path):
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "a.nii").write_bytes(b"no volume")
    with pytest.raises(MedtlError, match=r"a\.nii: found a file that nibabel cannot read"):
        import_volumes(tmp_path / "v", tmp_path / "set.npz", size=8)
