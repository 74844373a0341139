"""NIfTI: slices against indices counted by hand, every axis order to one orientation, volumes as patients."""

import nibabel
import numpy as np
import pytest
from made_up_images import case, refused

from medtl_core.data.archives.archive import read_archive
from medtl_core.data.importers.cases import Problems
from medtl_core.data.importers.frame import Frame
from medtl_core.data.importers.importing import import_archive
from medtl_core.data.importers.nifti import list_volumes, read_nifti
from medtl_core.data.importers.window import Window

GREY = Frame(8, colours="grey")
VALUES = np.random.default_rng(0).integers(0, 256, (8, 8, 8), np.uint8)  # right, front, head


def save_volume(path, values=VALUES, affine=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4) if affine is None else affine), path)
    return path


def pictures(path, frame=GREY, masks=()):
    return read_nifti(case(path, masks), frame)


def pixels(path, frame=GREY):
    return np.stack([picture.pixels for picture in pictures(path, frame)])


def test_axial_slices_show_the_front_on_top_and_the_right_on_the_left(tmp_path):
    found = pixels(save_volume(tmp_path / "a.nii"))
    for k in range(8):
        for row in range(8):
            for column in range(8):
                assert found[k, row, column] == VALUES[7 - column, 7 - row, k]


def test_coronal_and_sagittal_slices_show_the_head_on_top(tmp_path):
    path = save_volume(tmp_path / "a.nii.gz")
    coronal = pixels(path, Frame(8, colours="grey", plane="coronal"))
    sagittal = pixels(path, Frame(8, colours="grey", plane="sagittal"))
    assert coronal[2, 0, 1] == VALUES[6, 2, 7]
    assert sagittal[2, 0, 1] == VALUES[2, 6, 7]


def test_the_order_of_the_axes_in_the_file_does_not_matter(tmp_path):
    expected = pixels(save_volume(tmp_path / "a.nii"))
    turned = np.ascontiguousarray(VALUES.transpose(2, 0, 1)[:, ::-1])  # head, left, front
    affine = np.array([[0, -1, 0, 7], [0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1]], float)
    np.testing.assert_array_equal(pixels(save_volume(tmp_path / "b.nii", turned, affine)), expected)


def test_percentiles_are_those_of_the_volume(tmp_path):
    values = VALUES.astype(np.int16) * 5
    path = save_volume(tmp_path / "a.nii", values)
    low, high = np.percentile(values, [10, 90])
    expected = np.clip((values - low) / (high - low), 0, 1) * 255
    found = pixels(path, Frame(8, colours="grey", window=Window(10, 90, True)))
    np.testing.assert_allclose(found, expected[::-1, ::-1].transpose(2, 1, 0), atol=0.51)
    assert "found int16 values from 0 to" in refused(pictures, path)


def test_slope_and_intercept_of_the_file_are_applied(tmp_path):
    image = nibabel.Nifti1Image(VALUES.astype(np.int16), np.eye(4))
    image.header.set_slope_inter(2, -100)
    nibabel.save(image, tmp_path / "a.nii")
    stored = nibabel.load(tmp_path / "a.nii").get_fdata()
    found = pixels(tmp_path / "a.nii", Frame(8, colours="grey", window=Window(0, 255)))
    np.testing.assert_allclose(found, stored[::-1, ::-1].transpose(2, 1, 0).clip(0, 255), atol=0.51)


def test_empty_slices_are_left_out_and_counted(tmp_path):
    values = VALUES.copy()
    values[:, :, :3] = 0
    values[:, :, 6] = 9
    found = pictures(save_volume(tmp_path / "a.nii", values))
    assert [picture.position for picture in found] == [3, 4, 5, 7]
    assert sum(picture.dropped for picture in found) == 4
    assert "empty slices alone" in refused(pictures, save_volume(tmp_path / "b.nii", values * 0))


def test_voxels_that_are_not_cubes_keep_their_shape(tmp_path):
    values = np.full((8, 4, 2), 200, np.uint8)
    values[0] = 100
    found = pixels(save_volume(tmp_path / "a.nii", values, np.diag([1.0, 2.0, 1.0, 1.0])))
    assert (found > 0).all()  # 8 x 4 voxels of 1 x 2 mm are a square


def test_masks_follow_their_volume(tmp_path):
    mask = (VALUES > 200).astype(np.int16) * 3
    path = save_volume(tmp_path / "a.nii")
    found = pictures(path, masks=[save_volume(tmp_path / "a_seg.nii", mask)])
    stacked = np.stack([picture.mask for picture in found])
    np.testing.assert_array_equal(stacked, (mask > 0)[::-1, ::-1].transpose(2, 1, 0))
    moved = save_volume(tmp_path / "b_seg.nii", mask, np.diag([1, 1, 2, 1]))
    assert "another place in space" in refused(pictures, path, masks=[moved])


def test_volumes_are_patients(tmp_path):
    for name in ("a/v1.nii.gz", "a/v2.nii.gz", "b/v1.nii.gz"):
        save_volume(tmp_path / "mri" / name)
        save_volume(tmp_path / "mri" / name.replace(".nii", "_seg.nii"), VALUES // 200)
    problems = Problems()
    listing = list_volumes(tmp_path / "mri", problems, mask_suffix="_seg")
    import_archive(listing, Frame(8), tmp_path / "x.npz", problems, workers=1)
    archive = read_archive(tmp_path / "x.npz")
    assert archive.groups.tolist() == [name for name in ("a/v1", "a/v2", "b/v1") for _ in range(8)]
    assert archive.metadata["position"].tolist() == list(range(8)) * 3
    assert archive.masks.shape == (24, 8, 8)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("kept", [0, 100, 400])
def test_a_file_cut_short_is_refused(tmp_path, name, kept):
    path = save_volume(tmp_path / name)
    path.write_bytes(path.read_bytes()[:kept])
    assert "cannot read" in refused(pictures, path)


def test_what_is_no_grey_volume_is_refused(tmp_path):
    assert "found axes of (8, 8, 8, 2)" in refused(
        pictures, save_volume(tmp_path / "a.nii", np.stack([VALUES, VALUES], -1))
    )
    values = VALUES.astype(np.float32)
    values[0, 0, 0] = np.inf
    path = save_volume(tmp_path / "b.nii", values)
    assert "1 values that are NaN" in refused(pictures, path, Frame(8, colours="grey", window=Window(0, 1)))
    assert "--plane: found 'oblique'" in refused(Frame, 8, plane="oblique")


def test_without_nibabel_one_line_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setattr("medtl_core.data.importers.nifti.find_spec", lambda name: None)
    assert "pip install 'medtl[importers]'" in refused(pictures, tmp_path / "a.nii")
