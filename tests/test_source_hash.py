import pytest

from medtl_core.source_hash import normalised_source, package_hash


@pytest.fixture
def package(tmp_path):
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "a.py").write_text("x = 1\n")
    (tmp_path / "one.py").write_text("y = 2\n")
    return tmp_path


def hashed(rooms, package, copy):
    """The hash of an equal copy, since a hash is computed once for a folder."""
    import shutil

    shutil.copytree(package, copy)
    return package_hash(rooms, root=copy)


def test_comments_docstrings_and_layout_do_not_count():
    plain = "def f(x):\n    return x + 1\n"
    dressed = (
        '"""Module."""\n# why\ndef f(x):\n    """Adds one."""\n\n    return (x\n        + 1)  # because\n'
    )
    assert normalised_source(plain) == normalised_source(dressed)
    assert normalised_source(plain) != normalised_source(plain.replace("1", "2"))
    assert normalised_source('x = "text"') != normalised_source('x = "other"')


def test_the_hash_follows_the_code(package, tmp_path_factory):
    folder = tmp_path_factory.mktemp("copies")
    before = hashed(None, package, folder / "1")
    (package / "room" / "a.py").write_text("# a comment\nx = 1\n")
    assert hashed(None, package, folder / "2") == before
    (package / "room" / "a.py").write_text("x = 2\n")
    assert hashed(None, package, folder / "3") != before


def test_only_the_named_rooms_count(package, tmp_path_factory):
    folder = tmp_path_factory.mktemp("copies")
    before = hashed(["room"], package, folder / "1")
    (package / "one.py").write_text("y = 3\n")
    assert hashed(["room"], package, folder / "2") == before
    assert hashed(["room", "one"], package, folder / "3") != before


def test_a_renamed_file_counts(package, tmp_path_factory):
    folder = tmp_path_factory.mktemp("copies")
    before = hashed(None, package, folder / "1")
    (package / "one.py").rename(package / "two.py")
    assert hashed(None, package, folder / "2") != before


def test_the_order_of_rooms_does_not_count(package):
    assert package_hash(["room", "one"], root=package) == package_hash(["one", "room", "one"], root=package)


def test_an_unknown_room_is_an_error(package):
    with pytest.raises(FileNotFoundError, match="attic"):
        package_hash(["attic"], root=package)


def test_the_package_itself_has_a_hash():
    assert len(package_hash()) == 64
