"""A folder for each class, as people have it, to an archive and back."""

import numpy as np
import pytest
from made_up_images import noise, refused, save
from PIL import Image

from medtl_core.data.archives.archive import read_archive
from medtl_core.data.importers.cases import Problems
from medtl_core.data.importers.folders import NO_PATIENTS, list_folders
from medtl_core.data.importers.frame import Frame
from medtl_core.data.importers.importing import import_archive


def listed(source, keep_going=False, **options):
    return list_folders(source, Problems(keep_going), **options)


def imported(source, out, keep_going=False, size=12, **options):
    problems = Problems(keep_going)
    frame = Frame(size, **{key: options.pop(key) for key in ("colours", "fit", "window") if key in options})
    return import_archive(list_folders(source, problems, **options), frame, out, problems, workers=2)


@pytest.fixture
def chest(tmp_path):
    """Two classes, files of different kinds and sizes, the patient in the name."""
    folder = tmp_path / "chest"
    for i in range(3):
        save(folder / "normal" / f"person{i}_a.png")
        save(folder / "pneumonia" / f"person{i + 3}_b.jpeg", noise(20, 30))
    return folder


def test_an_archive_holds_what_the_folders_say(chest, tmp_path):
    done = imported(chest, tmp_path / "chest.npz", patient=r"person\d+")
    archive = read_archive(tmp_path / "chest.npz")
    assert done.images == {"normal": 3, "pneumonia": 3}
    assert archive.class_names == ("normal", "pneumonia")
    assert archive.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert archive.groups.tolist() == [f"person{i}" for i in range(6)]
    assert archive.metadata["file"][0] == "normal/person0_a.png"
    assert archive.images.shape == (6, 12, 12)
    for i in range(3):
        original = np.asarray(Image.open(chest / "normal" / f"person{i}_a.png"))
        np.testing.assert_array_equal(archive.images[i], original)
    assert archive.provenance == done.notes
    assert "3 of 6 images: padded to a square" in archive.provenance
    assert "colours: grey, as all files are" in archive.provenance
    assert list(tmp_path.glob(".part*")) == []


def test_one_colour_file_makes_all_rgb_and_that_is_said(chest, tmp_path):
    save(chest / "normal" / "person9.png", noise(channels=3))
    done = imported(chest, tmp_path / "a.npz")
    assert "colours: RGB, as 1 of 7 files are in colour" in done.notes
    assert NO_PATIENTS in done.notes
    archive = read_archive(done.path)
    assert archive.images.shape == (7, 12, 12, 3)
    assert archive.groups is None
    grey = imported(chest, tmp_path / "b.npz", colours="grey")
    assert "1 of 7 images: colour made grey" in grey.notes


def test_split_folders_on_top_are_the_published_split(tmp_path):
    for folder in ("train", "Validation", "test"):
        for name in ("NORMAL", "PNEUMONIA"):
            save(tmp_path / "chest" / folder / name / "a.png")
    imported(tmp_path / "chest", tmp_path / "a.npz")
    archive = read_archive(tmp_path / "a.npz")
    assert archive.class_names == ("NORMAL", "PNEUMONIA")
    assert archive.splits.tolist() == ["val", "val", "test", "test", "train", "train"]


def test_a_split_folder_beside_a_class_folder_is_refused(tmp_path):
    save(tmp_path / "chest" / "train" / "a.png")
    save(tmp_path / "chest" / "normal" / "a.png")
    assert "found 'train' beside 'normal'" in refused(listed, tmp_path / "chest")


def save_busi(folder):
    """The layout of BUSI: several masks a case, parentheses in the names."""
    for name in ("benign", "malignant"):
        for i in (1, 2):
            save(folder / name / f"{name} ({i}).png")
            mask = np.zeros((12, 12), np.uint8)
            mask[i : i + 3, :4] = 255
            save(folder / name / f"{name} ({i})_mask.png", mask)
    second = np.zeros((12, 12), np.uint8)
    second[9:] = 255
    save(folder / "benign" / "benign (1)_mask_1.png", second)
    return folder


def test_masks_are_paired_and_joined(tmp_path):
    imported(save_busi(tmp_path / "busi"), tmp_path / "a.npz", mask_suffix="_mask")
    archive = read_archive(tmp_path / "a.npz")
    assert archive.n == 4
    assert archive.mask_names == ("background", "foreground")
    expected = np.zeros((12, 12), np.uint8)
    expected[1:4, :4] = expected[9:] = 1
    np.testing.assert_array_equal(archive.masks[0], expected)
    assert [int(mask.sum()) for mask in archive.masks] == [48, 12, 12, 12]


def test_masks_are_never_taken_for_images_without_a_word(tmp_path):
    source = save_busi(tmp_path / "busi")
    assert "found 5 files such as" in refused(listed, source)
    assert len(listed(source, mask_suffix="").cases) == 9


def test_a_mask_without_an_image_and_an_image_without_a_mask_are_problems(tmp_path):
    source = save_busi(tmp_path / "busi")
    (source / "benign" / "benign (2).png").unlink()
    line = refused(imported, source, tmp_path / "a.npz", mask_suffix="_mask")
    assert "benign (2)_mask.png: found a mask without an image" in line
    save(source / "benign" / "benign (3).png")
    done = imported(source, tmp_path / "a.npz", mask_suffix="_mask", keep_going=True)
    assert [problem.split(":")[0] for problem in done.problems] == [
        "benign/benign (2)_mask.png", "benign/benign (3).png",
    ]  # fmt: skip
    assert done.images == {"benign": 1, "malignant": 2}
    assert "left out: 2 files with problems" in done.notes


def test_the_first_group_of_the_expression_is_the_patient(chest):
    assert [case.patient for case in listed(chest, patient=r"person(\d+)_a").cases] == [
        "0",
        "1",
        "2",
        "",
        "",
        "",
    ]
    assert "found for 3 of 6 files" in listed(chest, patient=r"person(\d+)_a").notes[-1]
    assert "found in none of 6 paths" in refused(listed, chest, patient="subject")
    assert "no regular expression" in refused(listed, chest, patient="(")


def test_names_that_a_file_system_may_confuse_are_refused(chest):
    save(chest / "normal" / "PERSON0_A.png")
    assert "differ only in case" in refused(listed, chest)
    (chest / "normal" / "PERSON0_A.png").unlink()
    save(chest / "normal" / "caf\u00e9.png")
    save(chest / "normal" / "cafe\u0301.png")
    assert "Unicode form" in refused(listed, chest)


def test_class_folders_that_differ_in_case_are_refused(chest):
    save(chest / "Normal" / "other.png")
    assert "found classes 'Normal' and 'normal'" in refused(listed, chest)


def test_an_image_without_a_class_folder_is_a_problem(chest):
    save(chest / "loose.png")
    assert "loose.png: found no class folder" in refused(listed, chest)
    assert len(listed(chest, keep_going=True).cases) == 6


def test_links_do_not_lead_out_of_the_folder(chest, tmp_path):
    outside = save(tmp_path / "secret.png")
    (chest / "normal" / "link.png").symlink_to(outside)
    assert "leads out of the folder" in refused(listed, chest)
    (chest / "normal" / "link.png").unlink()
    (chest / "third").symlink_to(chest / "normal")
    assert "a link to a folder" in refused(listed, chest)


def test_hidden_and_other_files_are_left_out_and_counted(chest):
    (chest / ".DS_Store").write_text("")
    (chest / "normal" / "._person0_a.png").write_text("")
    (chest / "readme.txt").write_text("")
    notes = listed(chest).notes
    assert "left out: 2 hidden files" in notes
    assert "left out: 1 files of other kinds (1 .txt)" in notes


def test_a_name_with_control_characters_is_refused(chest):
    save(chest / "normal" / "a\nb.png")
    assert "control characters" in refused(listed, chest)


def test_nothing_to_import_is_said(tmp_path):
    assert "no such folder" in refused(listed, tmp_path / "none")
    (tmp_path / "empty").mkdir()
    assert "found no files" in refused(listed, tmp_path / "empty")
    save(tmp_path / "one" / "chest" / "a.png")
    assert "found 1 class (chest)" in refused(listed, tmp_path / "one")
