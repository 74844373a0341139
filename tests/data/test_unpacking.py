"""Unpacking: what stays in its folder is kept whole, and everything else leaves nothing behind."""

import hashlib
import io
import tarfile
import zipfile
from collections import namedtuple

import pytest

from medtl_core.data.sources import unpacking
from medtl_core.data.sources.unpacking import unpack
from medtl_core.errors import MedtlError

CONTENT = {"set/a/1.png": b"one", "set/b/2.png": b"two" * 500_000}


def zipped(path, content=CONTENT, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as bundle:
        for name, data in content.items():
            bundle.writestr(name, data)
    return path


def tarred(path, content=CONTENT, mode="w:gz", **special):
    with tarfile.open(path, mode) as bundle:
        for name, data in content.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            bundle.addfile(info, io.BytesIO(data))
        for name, fields in special.items():
            info = tarfile.TarInfo(name)
            for key, value in fields.items():
                setattr(info, key, value)
            bundle.addfile(info)
    return path


def linked_zip(path, target="/etc/passwd"):
    info = zipfile.ZipInfo("a/link")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "w") as bundle:
        bundle.writestr(info, target)
    return path


def held(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(packed, folder, *arguments, **options):
    """The one line; nothing is left beside the archive."""
    before = sorted(folder.parent.rglob("*"))
    with pytest.raises(MedtlError) as caught:
        unpack(packed, folder, *arguments, **options)
    assert "\n" not in str(caught.value)
    assert sorted(folder.parent.rglob("*")) == before
    return str(caught.value)


@pytest.mark.parametrize("pack", [zipped, tarred, lambda path: tarred(path, mode="w")])
def test_all_files_come_out(tmp_path, pack):
    assert unpack(pack(tmp_path / "p"), tmp_path / "out") == 2
    assert held(tmp_path / "out") == CONTENT


def test_an_empty_folder_is_filled_and_another_refused(tmp_path):
    packed, out = zipped(tmp_path / "p"), tmp_path / "out"
    out.mkdir()
    unpack(packed, out)
    assert held(out) == CONTENT
    assert "found files in it" in refused(packed, out)


def test_the_one_folder_around_all_is_left_out_on_request(tmp_path):
    packed = zipped(tmp_path / "p", CONTENT | {"__MACOSX/set/._1.png": b"", ".DS_Store": b""})
    unpack(packed, tmp_path / "out", strip=True)
    assert held(tmp_path / "out") == {name.removeprefix("set/"): data for name, data in CONTENT.items()}
    unpack(zipped(tmp_path / "q", {"a/1": b"x", "b/1": b"y"}), tmp_path / "two", strip=True)
    assert held(tmp_path / "two") == {"a/1": b"x", "b/1": b"y"}


def test_archives_inside_are_unpacked_where_they_lie(tmp_path):
    inner = zipped(tmp_path / "inner.zip").read_bytes()
    packed = zipped(tmp_path / "p", {"set/one.zip": inner, "read.me": b"x"})
    assert unpack(packed, tmp_path / "out", nested=True) == 3
    assert held(tmp_path / "out") == {"read.me": b"x"} | {f"set/{name}": CONTENT[name] for name in CONTENT}


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_nothing_is_unpacked_before_the_checksum_holds(tmp_path, algorithm):
    packed = zipped(tmp_path / "p")
    right = hashlib.new(algorithm, packed.read_bytes()).hexdigest()
    wrong = right[::-1]
    assert f"expected {wrong}" in refused(packed, tmp_path / "out", f"{algorithm}:{wrong}")
    assert unpack(packed, tmp_path / "out", f"{algorithm}:{right}") == 2


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/evil", "..\\evil", "C:evil", "a\nb"])
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_path_that_leaves_the_folder_is_refused(tmp_path, name, pack):
    packed = pack(tmp_path / "p", CONTENT | {name: b"evil"})
    assert "stays within the folder" in refused(packed, tmp_path / "out")


@pytest.mark.parametrize(
    "fields",
    [
        {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"},
        {"type": tarfile.LNKTYPE, "linkname": "set/a/1.png"},
        {"type": tarfile.CHRTYPE},
        {"type": tarfile.FIFOTYPE},
    ],
)
def test_links_and_devices_are_refused(tmp_path, fields):
    assert "a link or device" in refused(tarred(tmp_path / "p", link=fields), tmp_path / "out")
    assert "a link or device" in refused(linked_zip(tmp_path / "q"), tmp_path / "out")


def test_a_bomb_is_stopped_by_what_comes_and_not_by_what_it_says(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "_ALLOWANCE", 1 << 20)
    bomb = zipped(tmp_path / "p", {"a": b"\0" * (20 << 20)})
    assert "made to fill the disk" in refused(bomb, tmp_path / "out")
    hidden = zipped(tmp_path / "q", {"inner.zip": bomb.read_bytes()})
    assert "made to fill the disk" in refused(hidden, tmp_path / "out", nested=True)
    assert "more than 1 MB" in refused(zipped(tmp_path / "r"), tmp_path / "out", largest=1_000_000)


def test_too_many_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "MOST", 1)
    assert "more than 1 files" in refused(zipped(tmp_path / "p"), tmp_path / "out")


def test_a_full_disk_is_one_line(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(unpacking.shutil, "disk_usage", lambda _: usage(100, 99, 1))
    assert "free on the disk" in refused(zipped(tmp_path / "p"), tmp_path / "out")


def test_names_that_are_one_on_some_systems_are_refused(tmp_path):
    packed = zipped(tmp_path / "p", {"a/1.png": b"x", "A/1.png": b"y"})
    assert "twice" in refused(packed, tmp_path / "out")


def test_an_interruption_leaves_nothing(tmp_path, monkeypatch):
    packed, out = zipped(tmp_path / "p"), tmp_path / "new" / "out"
    out.parent.mkdir()

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(unpacking._Budget, "add", stopped)
    with pytest.raises(KeyboardInterrupt):
        unpack(packed, out)
    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize("kept", [0.2, 0.7, 0.999])
def test_an_archive_that_is_cut_short_is_refused(tmp_path, pack, kept):
    packed = pack(tmp_path / "p", {f"{i}.png": hashlib.sha512(bytes([i])).digest() * 50 for i in range(50)})
    packed.write_bytes(packed.read_bytes()[: int(packed.stat().st_size * kept)])
    assert "cannot be read" in refused(packed, tmp_path / "out")


def test_damage_inside_is_noticed(tmp_path):
    packed = zipped(tmp_path / "p", {"a": b"abcdefgh" * 100}, zipfile.ZIP_STORED)
    packed.write_bytes(packed.read_bytes().replace(b"abcdefgh", b"abcdefgX", 1))
    assert "cannot be read" in refused(packed, tmp_path / "out")


def test_what_is_no_archive_is_refused(tmp_path):
    (tmp_path / "p.zip").write_text("<html>log in</html>")
    assert "cannot be read" in refused(tmp_path / "p.zip", tmp_path / "out")
    assert "no such file" in refused(tmp_path / "q.zip", tmp_path / "out")
