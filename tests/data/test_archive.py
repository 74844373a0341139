"""Archives: what is read is what was written, and every broken rule is told in one line."""

import multiprocessing
import resource
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from archive_files import N, arrays, refused, saved

from medtl_core.data.archives.archive import Archive, read_archive, validate, write_archive
from medtl_core.errors import MedtlError
from medtl_core.files import read_shapes


@pytest.mark.parametrize("colour", [False, True])
def test_written_archive_reads_back_the_same(tmp_path, colour):
    first = read_archive(saved(tmp_path, **arrays(colour)))
    write_archive(first, tmp_path / "deeper" / "set.npz")
    second = read_archive(tmp_path / "deeper" / "set.npz")
    assert (second.n, second.height, second.width, second.channels) == (N, 6, 5, 3 if colour else 1)
    assert second.labels.dtype == np.int64
    assert second.class_names == ("a", "b", "c")
    assert second.mask_names == ("background", "lesion")
    for key, value in arrays(colour).items():
        found = second.metadata[key] if key == "age" else getattr(second, key)
        np.testing.assert_array_equal(found, value)
    assert second.checksum == first.checksum
    assert [file.name for file in (tmp_path / "deeper").iterdir()] == ["set.npz"]


def test_writing_replaces_a_file_at_once(tmp_path):
    path = saved(tmp_path, **arrays())
    before = path.read_bytes()
    with path.open("rb") as reader:  # somebody reads the old file while the new one comes
        write_archive(read_archive(path).subset(slice(0, 6)), path)
        assert reader.read() == before
    assert read_archive(path).n == 6


def test_optional_keys_may_all_be_absent(tmp_path):
    content = {key: arrays()[key] for key in ("images", "labels", "class_names")}
    archive = read_archive(saved(tmp_path, **content))
    assert archive.groups is archive.domains is archive.masks is archive.splits is None
    assert archive.mask_names == ()
    assert archive.metadata == {}


def test_metadata_may_have_any_name_and_more_axes(tmp_path):
    archive = read_archive(saved(tmp_path, **arrays(age=None)))
    rich = Archive(**(vars(archive) | {"metadata": {"file": np.arange(N), "boxes": np.zeros((N, 4))}}))
    write_archive(rich, tmp_path / "rich.npz")
    assert read_archive(tmp_path / "rich.npz").metadata["file"].tolist() == list(range(N))


@pytest.mark.parametrize(
    ("changes", "key", "found"),
    [
        ({"images": None}, "images", "no such key"),
        ({"labels": None}, "labels", "no such key"),
        ({"class_names": None}, "class_names", "no such key"),
        ({"images": np.full((N, 6, 5), np.nan, np.float32)}, "images", "360 NaN"),
        ({"images": np.zeros((N, 6, 5), np.float32)}, "images", "float32"),
        ({"images": np.zeros((N, 6, 5), np.int16)}, "images", "int16"),
        ({"images": np.zeros((N, 30), np.uint8)}, "images", "(12, 30)"),
        ({"images": np.zeros((N, 6, 5, 4), np.uint8)}, "images", "(12, 6, 5, 4)"),
        ({"images": np.zeros((N, 6, 5, 1), np.uint8)}, "images", "(12, 6, 5, 1)"),
        ({"images": np.zeros((0, 6, 5), np.uint8)}, "images", "(0, 6, 5)"),
        ({"labels": np.zeros(N)}, "labels", "float64"),
        ({"labels": np.zeros(N, bool)}, "labels", "bool"),
        ({"labels": np.zeros(N - 1, int)}, "labels", "(11,)"),
        ({"labels": np.zeros((N, 1), int)}, "labels", "(12, 1)"),
        ({"labels": np.arange(N) % 4}, "labels", "0 to 3"),
        ({"labels": np.arange(N) % 3 - 1}, "labels", "-1 to 1"),
        ({"labels": np.array([2**64 - 1] * N, np.uint64)}, "labels", str(2**64 - 1)),
        ({"class_names": np.array(["a", "b"])}, "labels", "0 to 2"),
        ({"class_names": np.array(["a"])}, "class_names", "1 names"),
        ({"class_names": np.array(["a", "b", "a"])}, "class_names", "['a', 'b', 'a']"),
        ({"class_names": np.array([["a", "b", "c"]])}, "class_names", "(1, 3)"),
        ({"class_names": np.arange(3)}, "class_names", "int64"),
        ({"groups": np.arange(N)}, "groups", "int64"),
        ({"groups": np.array(["p"] * (N + 1))}, "groups", "(13,)"),
        ({"domains": np.array([b"x"] * N)}, "domains", "|S1"),
        ({"domains": np.array("x")}, "domains", "()"),
        ({"groups": np.array(["p\nq"] * N)}, "groups", "'p\\nq'"),
        ({"class_names": np.array(["a", "b", "c\x1b[2J"])}, "class_names", "x1b"),
        ({"splits": np.array(["train"] * (N - 1) + ["holdout"])}, "splits", "'holdout'"),
        ({"splits": np.array(["train"] * (N - 1))}, "splits", "(11,)"),
        ({"masks": np.zeros((N, 6, 4), np.uint8)}, "masks", "(12, 6, 4)"),
        ({"masks": np.zeros((N, 6, 5), int)}, "masks", "int64"),
        ({"masks": np.full((N, 6, 5), 2, np.uint8)}, "masks", "value 2"),
        ({"masks": None}, "masks", "no such key"),
        ({"mask_names": None}, "mask_names", "no such key"),
        ({"class_names": np.array(["a", "b", "a "])}, "class_names", "['a', 'b', 'a ']"),
        ({"class_names": np.array(["fr\u00fch", "fru\u0308h", "c"])}, "class_names", "u\u0308h"),
        ({"mask_names": np.array(["x", " x"])}, "mask_names", "['x', ' x']"),
        ({"domains": np.array(["x", ""] * (N // 2))}, "domains", "6 images without a name"),
        ({"domains": np.array(["x", " "] * (N // 2))}, "domains", "6 images without a name"),
        ({"origin": np.array("phantom")}, "origin", "'phantom'"),
        ({"origin": np.array(["patients"] * N)}, "origin", "(12,)"),
        ({"origin": np.array(1)}, "origin", "'1'"),
        ({"images": np.zeros((N, 3, 6, 5), np.uint8)}, "images", "channels to the end"),
        ({"images": np.zeros((N, 6, 5, 7), np.uint8)}, "images", "save volumes under the key 'volumes'"),
        (
            {"images": None, "volumes": np.zeros((N, 6, 5, 7), np.uint8)},
            "volumes",
            "volumes are for segmentation",
        ),
        ({"age": np.arange(N + 1)}, "age", "(13,)"),
        ({"age": np.array(3)}, "age", "()"),
    ],
)
def test_broken_rule_is_told_with_file_key_found_and_expected(tmp_path, changes, key, found):
    line = refused(saved(tmp_path, **arrays(**changes)))
    assert f"key '{key}'" in line
    assert found in line
    assert "expected" in line


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        *(
            (key, "groups")
            for key in ("group", "Groups", "GROUPS", "patient_id", "PatientID", "subject", "pid")
        ),
        *((key, "splits") for key in ("split", "Splits", "fold")),
        *((key, "domains") for key in ("domain", "Domain", "site", "hospital")),
        *((key, "masks") for key in ("mask", "Masks")),
        *((key, "labels") for key in ("Labels", "label", "target")),
        *(("class", "class_names"), ("classnames", "class_names"), ("ORIGIN", "origin")),
    ],
)
def test_a_key_that_is_nearly_the_archives_own_is_no_metadata(tmp_path, key, meant):
    column = np.array([f"p{i}" for i in range(N)])
    line = refused(saved(tmp_path, **arrays(), **{key: column}))
    assert f"key '{key}': found nearly a key of the archive's own, did you mean {meant}?" in line
    archive = read_archive(saved(tmp_path, **arrays()))
    with pytest.raises(MedtlError, match=f"did you mean {meant}"):
        write_archive(replace(archive, metadata={key: column}), tmp_path / "new.npz")


@pytest.mark.parametrize(
    "key", ["age", "sex", "view", "subtype", "true_label", "patient_age", "splitting", "id"]
)
def test_other_keys_stay_metadata(tmp_path, key):
    archive = read_archive(saved(tmp_path, **arrays(), **({} if key == "age" else {key: np.arange(N)})))
    assert key in archive.metadata


def test_origin_is_patients_unless_the_file_says_synthetic(tmp_path):
    archive = read_archive(saved(tmp_path, **arrays()))
    assert (archive.origin, archive.synthetic) == ("patients", False)
    write_archive(replace(archive, origin="synthetic"), tmp_path / "drawn.npz")
    drawn = read_archive(tmp_path / "drawn.npz")
    assert (drawn.origin, drawn.synthetic) == ("synthetic", True)
    assert drawn.subset([0, 1]).synthetic
    assert "origin" not in drawn.metadata
    assert drawn.checksum != archive.checksum
    write_archive(archive, tmp_path / "real.npz")
    assert "origin" not in np.load(tmp_path / "real.npz").files
    assert not read_archive(tmp_path / "real.npz").synthetic


def test_missing_file(tmp_path):
    assert "no such file" in refused(tmp_path / "nothing.npz")


def test_folder_is_not_a_file(tmp_path):
    (tmp_path / "folder.npz").mkdir()
    assert "cannot be read" in refused(tmp_path / "folder.npz")


@pytest.mark.parametrize("key", ["images", "labels", "age"])
def test_pickled_objects_are_never_loaded(tmp_path, key):
    class Trap:
        def __reduce__(self):
            return (Path(tmp_path / "sprung").touch, ())

    content = arrays(**{key: np.array([Trap()] * N, dtype=object)})
    assert f"key '{key}'" in refused(saved(tmp_path, **content))
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("content", [b"", b"text, no archive", b"\x80\x04K\x01.", b"PK\x03\x04 cut"])
def test_file_that_is_no_archive(tmp_path, content):
    path = tmp_path / "set.npz"
    path.write_bytes(content)
    assert "expected a whole .npz archive" in refused(path)


def test_single_array_and_foreign_member(tmp_path):
    with (tmp_path / "one.npz").open("wb") as stream:
        np.save(stream, np.zeros(3))
    assert "single .npy array" in refused(tmp_path / "one.npz")
    path = saved(tmp_path, **arrays())
    with zipfile.ZipFile(path, "a") as bundle:
        bundle.writestr("readme.txt", "hello")
    assert "key 'readme.txt'" in refused(path)
    with pytest.raises(MedtlError, match=r"readme\.txt"):
        read_shapes(path)


def test_truncated_anywhere_is_one_line(tmp_path):
    whole = saved(tmp_path, **arrays()).read_bytes()
    for length in range(1, len(whole), 97):
        path = tmp_path / "cut.npz"
        path.write_bytes(whole[:length])
        assert "expected a whole .npz archive" in refused(path)


def test_damaged_bytes_never_escape_as_another_error(tmp_path):
    whole = saved(tmp_path, **arrays()).read_bytes()
    rng = np.random.default_rng(0)
    lines = []
    for _ in range(300):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), 3):
            damaged[place] ^= int(rng.integers(1, 256))
        path = tmp_path / "damaged.npz"
        path.write_bytes(damaged)
        for reader in (read_archive, read_shapes):
            try:
                reader(path)
            except MedtlError as error:
                lines.append(str(error))
    assert len(lines) > 200
    assert not any("\n" in line for line in lines)


def test_checksum_follows_content_and_nothing_else(tmp_path):
    archive = read_archive(saved(tmp_path, **arrays()))
    fields = {key: value for key, value in vars(archive).items() if key != "checksum"}
    padded = Archive(**fields | {"name": "other", "groups": archive.groups.astype("U90")})
    assert padded.checksum == archive.checksum
    changed = [
        {"images": archive.images ^ np.uint8(1)},
        {"labels": archive.labels[::-1]},
        {"class_names": ("a", "b", "d")},
        {"groups": archive.domains},
        {"domains": None},
        {"metadata": {}},
        {"metadata": {"age": archive.metadata["age"].astype(np.float32)}},
    ]
    sums = {Archive(**fields | change).checksum for change in changed}
    assert len(sums | {archive.checksum}) == len(changed) + 1


@pytest.mark.parametrize("index", [np.array([3, 1, 7]), np.arange(N) % 2 == 0, slice(2, 6), [0]])
def test_subset_takes_everything_along(tmp_path, index):
    archive = read_archive(saved(tmp_path, **arrays()))
    part = archive.subset(index)
    validate(part, "part")
    for key in ("images", "labels", "groups", "domains", "masks", "splits"):
        np.testing.assert_array_equal(getattr(part, key), getattr(archive, key)[index])
    np.testing.assert_array_equal(part.metadata["age"], archive.metadata["age"][index])


def test_broken_archive_is_not_written(tmp_path):
    archive = read_archive(saved(tmp_path, **arrays()))
    fields = dict(vars(archive))
    for change in ({"labels": archive.labels + 5}, {"metadata": {"images": np.zeros(N)}}):
        with pytest.raises(MedtlError):
            write_archive(Archive(**fields | change), tmp_path / "new.npz")
    assert not (tmp_path / "new.npz").exists()


def test_no_right_to_write(tmp_path):
    archive = read_archive(saved(tmp_path, **arrays()))
    (tmp_path / "file").touch()
    with pytest.raises(MedtlError, match="cannot be written"):
        write_archive(archive, tmp_path / "file" / "new.npz")


def _write_with_little_space(path, answers):
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    images = np.random.default_rng(0).integers(0, 256, (100, 28, 28), dtype=np.uint8)
    archive = Archive("big", images, np.arange(100) % 2, ("a", "b"))
    try:
        write_archive(archive, path)
    except MedtlError as error:
        answers.put(str(error))


def test_no_space_leaves_the_old_file_and_nothing_else(tmp_path):
    path = saved(tmp_path, **arrays())
    before = path.read_bytes()
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    writer = context.Process(target=_write_with_little_space, args=(path, answers))
    writer.start()
    line = answers.get(timeout=60)
    writer.join()
    assert "cannot be written" in line
    assert "\n" not in line
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["set.npz"]


def test_provenance_is_kept_and_belongs_to_the_content(tmp_path):
    plain = read_archive(saved(tmp_path, **arrays()))
    made = replace(plain, provenance=("source: a folder", "window: 0:4095"))
    write_archive(made, tmp_path / "made.npz")
    again = read_archive(tmp_path / "made.npz")
    assert again.provenance == made.provenance
    assert again.subset([0, 1]).provenance == made.provenance
    assert again.checksum != plain.checksum
    assert plain.provenance == ()


@pytest.mark.parametrize("wrong", [np.arange(3), np.array("a sentence"), np.array(["two\nlines"])])
def test_provenance_is_printable_lines(tmp_path, wrong):
    assert "key 'provenance'" in refused(saved(tmp_path, **arrays(provenance=wrong)))
