"""A csv file and a folder of images, with all that people and spreadsheets do to csv files."""

import numpy as np
import pytest
from made_up_images import refused, save

from medtl_core.data.archives.archive import read_archive
from medtl_core.data.importers import importing
from medtl_core.data.importers.cases import Problems
from medtl_core.data.importers.columns import Columns
from medtl_core.data.importers.csv_rows import read_rows
from medtl_core.data.importers.folders import NO_PATIENTS
from medtl_core.data.importers.frame import Frame
from medtl_core.data.importers.importing import import_archive
from medtl_core.data.importers.table import list_table

ROWS = [
    ("image_id", "dx", "lesion_id", "dataset", "age"),
    ("a", "nv", "007", "vidir", "80"),
    ("b", "mel", "007", "rosendahl", ""),
    ("sub/c.png", "nv", "", "", "35.0"),
]


def write(folder, rows=ROWS, delimiter=",", encoding="utf-8", end="\n"):
    text = end.join(delimiter.join(row) for row in rows) + end
    (folder / "t.csv").write_bytes(text.encode(encoding))
    return folder / "t.csv"


@pytest.fixture
def images(tmp_path):
    for name in ("a.png", "b.png", "sub/c.png", "other.png"):
        save(tmp_path / name)
    return tmp_path


def listed(images, columns=None, keep_going=False, **options):
    return list_table(images / "t.csv", images, Problems(keep_going), columns, **options)


def test_guesses_are_made_and_said(images):
    write(images)
    listing = listed(images, keep=["age"])
    assert [case.name for case in listing.cases] == ["a.png", "b.png", "sub/c.png"]
    assert [case.label for case in listing.cases] == ["nv", "mel", "nv"]
    assert [case.patient for case in listing.cases] == ["007", "007", ""]
    assert [case.site for case in listing.cases] == ["vidir", "rosendahl", "unknown"]
    assert [case.extra for case in listing.cases] == [{"age": "80"}, {"age": ""}, {"age": "35.0"}]
    assert listing.class_names == ("mel", "nv")
    for line in (
        "table: t.csv, 3 rows, delimiter comma, utf-8",
        "image: column 'image_id', guessed from its name",
        "patient: column 'lesion_id', guessed from its name",
        "patients: known for 2 of 3 images",
        "left out: 1 files that the table does not name",
    ):
        assert line in listing.notes


def test_an_archive_comes_of_it(images):
    write(images)
    import_archive(listed(images, keep=["age"]), Frame(12), images / "out" / "x.npz", Problems(), workers=1)
    archive = read_archive(images / "out" / "x.npz")
    assert archive.groups.tolist() == ["007", "007", ""]
    assert archive.domains.tolist() == ["vidir", "rosendahl", "unknown"]
    assert archive.labels.tolist() == [1, 0, 1]
    assert archive.metadata["age"].tolist() == ["80", "", "35.0"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_delimiters_marks_and_line_ends_do_not_matter(images, delimiter, encoding, end):
    write(images, delimiter=delimiter, encoding=encoding, end=end)
    listing = listed(images)
    assert [case.label for case in listing.cases] == ["nv", "mel", "nv"]
    assert "image: column 'image_id', guessed from its name" in listing.notes  # no mark in the first name


def test_another_encoding_must_be_said(images):
    rows = [*ROWS[:3], ("sub/c.png", "Nävus", "", "", "")]
    write(images, rows, encoding="cp1252")
    assert "no utf-8" in refused(listed, images)
    assert listed(images, encoding="cp1252").cases[2].label == "Nävus"
    assert "expected one that Python knows" in refused(listed, images, encoding="latin-99")


def test_columns_are_taken_as_asked_for(images):
    rows = [("x", "y", "z", "part"), ("a", "p", "1", "train"), ("b", "q", "2", "Validation")]
    write(images, rows)
    assert "found no column for the image" in refused(listed, images)
    listing = listed(images, Columns("x", "y", patient="z", split="part"))
    assert [case.split for case in listing.cases] == ["train", "val"]
    assert [case.patient for case in listing.cases] == ["1", "2"]
    assert "no such column" in refused(listed, images, Columns("x", "nothing"))
    assert "--keep age" in refused(listed, images, Columns("x", "y"), keep=["age"])


def test_two_columns_that_could_be_meant_are_refused(images):
    write(images, [("image", "label", "dx"), ("a", "p", "q"), ("b", "q", "p")])
    assert "'label', 'dx', all of which may be the label" in refused(listed, images)
    assert listed(images, Columns(label="dx")).cases[0].label == "q"


def test_an_empty_name_declines_a_guess(images):
    write(images)
    listing = listed(images, Columns(patient="", site=""))
    assert {case.patient for case in listing.cases} == {None}
    assert {case.site for case in listing.cases} == {None}
    assert NO_PATIENTS in listing.notes


@pytest.mark.parametrize(
    ("row", "line"),
    [
        (("", "nv", "", "", ""), "found no name of the image"),
        (("a", "", "", "", ""), "found no label for 'a.png'"),
        (("a", "x|y", "", "", ""), "found several labels"),
        (("missing", "nv", "", "", ""), "found no such file for the image 'missing'"),
        (("../a.png", "nv", "", "", ""), "stays within the folder"),
        (("/etc/a.png", "nv", "", "", ""), "stays within the folder"),
        (("C:\\a.png", "nv", "", "", ""), "stays within the folder"),
        (("b.png", "nv", "", "", ""), "as in line 2, expected one row an image"),
        (("a", "nv"), "found 2 cells, expected 5"),
    ],
)
def test_a_bad_row_is_one_line_or_left_out(images, row, line):
    write(images, [ROWS[0], ROWS[2], ROWS[3], row])
    assert line in refused(listed, images)
    assert refused(listed, images).startswith("t.csv, line 4: ")
    assert len(listed(images, keep_going=True).cases) == 2


def test_a_split_that_is_none_is_refused(images):
    write(images, [("image", "label", "fold"), ("a", "p", "1"), ("b", "q", "2")])
    assert "found the split '1'" in refused(listed, images)
    assert len(listed(images, Columns(split="")).cases) == 2


def test_a_name_that_fits_two_files_is_refused_and_a_whole_path_decides(images):
    save(images / "sub" / "a.png")
    write(images)
    assert "'a.png', 'sub/a.png' for the image 'a'" in refused(listed, images)
    write(images, [ROWS[0], ("a.png", "nv", "", "", ""), ("sub/a.png", "mel", "", "", "")])
    assert [case.name for case in listed(images).cases] == ["a.png", "sub/a.png"]


def test_case_and_unicode_form_are_overlooked_and_that_is_said(images):
    save(images / "caf\u00e9.png")
    write(images, [ROWS[0], ("A.PNG", "nv", "", "", ""), ("cafe\u0301", "mel", "", "", "")])
    listing = listed(images)
    assert [case.name for case in listing.cases] == ["a.png", "caf\u00e9.png"]
    assert "image: 2 names matched without case or Unicode form" in listing.notes


def test_masks_by_a_column(images):
    save(images / "a_m.png", np.eye(12, dtype=np.uint8) * 255)
    save(images / "b_m.png", np.zeros((12, 12), np.uint8))
    write(images, [("image", "label", "mask"), ("a", "p", "a_m"), ("b", "q", "b_m.png")])
    import_archive(listed(images), Frame(12), images / "out" / "x.npz", Problems(), workers=1)
    archive = read_archive(images / "out" / "x.npz")
    np.testing.assert_array_equal(archive.masks, [np.eye(12, dtype=np.uint8), np.zeros((12, 12))])


def test_a_table_that_is_none_is_refused(images):
    assert "cannot be read" in refused(listed, images)
    (images / "t.csv").write_text("")
    assert "found no rows" in refused(listed, images)
    (images / "t.csv").write_text('image,label\n"a,p\n')
    assert "found a table that cannot be read" in refused(listed, images)
    write(images, [("image", "image", "label"), ("a", "b", "c")])
    assert "the column 'image' twice" in refused(listed, images)
    write(images, [("image", "", "label"), ("a", "b", "c")])
    assert "a column without a name" in refused(listed, images)
    write(images)
    assert "expected one character" in refused(listed, images, delimiter=", ")


@pytest.mark.parametrize(("column", "value"), [("dx", "n\x1bv"), ("lesion_id", "a\x07")])
def test_text_that_no_archive_may_hold_is_refused_before_images_are_read(images, monkeypatch, column, value):
    monkeypatch.setattr(importing, "in_order", lambda *_: pytest.fail("read"))
    row = [value if name == column else cell for name, cell in zip(ROWS[0], ROWS[1], strict=True)]
    write(images, [ROWS[0], row, *ROWS[2:]])
    out = images / "out" / "x.npz"
    assert "control characters" in refused(import_archive, listed(images), Frame(12), out, Problems())


def test_a_kept_column_with_nearly_a_key_of_the_archive_is_refused_before_images_are_read(images):
    write(images, [("image_id", "dx", "Patient ID"), ("a", "p", "1"), ("b", "q", "2")])
    listing = listed(images, Columns(patient=""), keep=["Patient ID"])
    assert "did you mean groups" in refused(import_archive, listing, Frame(12), images / "x.npz", Problems())


def test_empty_columns_without_a_name_at_the_end_are_left_out(images):
    plain = read_rows(write(images), Problems())
    ends = [(*row, "", "") for row in ROWS]
    assert read_rows(write(images, ends), Problems()) == plain
    ends[2] = (*ROWS[2], "", "x")
    assert "a column without a name" in refused(read_rows, write(images, ends), Problems())
