"""Downloads from a server on this machine: whole, resumed, refused, and never half-stored."""

import hashlib
import multiprocessing
import resource
import shutil
from collections import namedtuple

import numpy as np
import pytest
from publisher import publishing

from medtl_core.data.sources.download import download
from medtl_core.errors import MedtlError

CONTENT = np.random.default_rng(0).bytes(700_000)
CUT = 5 * 65_536  # whole chunks, so that none is lost
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture
def publisher():
    with publishing(CONTENT) as running:
        yield running


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache" / "set.npz"


def names(path):
    return sorted(file.name for file in path.parent.iterdir()) if path.parent.exists() else []


def refused(*arguments) -> str:
    with pytest.raises(MedtlError) as caught:
        download(*arguments, progress=False)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_whole_file(publisher, path):
    assert download(publisher.url(), path, MD5, progress=False) == path
    assert path.read_bytes() == CONTENT
    assert names(path) == ["set.npz"]
    assert publisher.asked == [None]


def test_file_at_hand_is_not_asked_for_again_unless_it_is_another(publisher, path):
    download(publisher.url(), path, MD5, progress=False)
    download(publisher.url(), path, MD5, progress=False)
    assert len(publisher.asked) == 1
    path.write_bytes(b"tampered")
    download(publisher.url(), path, MD5, progress=False)
    assert path.read_bytes() == CONTENT


def test_progress_is_shown_on_request(publisher, path, capfd):
    download(publisher.url(), path, MD5, progress=True)
    shown = capfd.readouterr()
    assert "set.npz: 100%" in shown.err
    assert shown.out == ""


def test_broken_connection_is_resumed_within_one_call(publisher, path):
    publisher.allowances = [CUT, CUT]
    download(publisher.url(), path, MD5, progress=False)
    assert path.read_bytes() == CONTENT
    assert publisher.asked == [None, f"bytes={CUT}-", f"bytes={2 * CUT}-"]


def test_interrupted_download_goes_on_in_the_next_call(publisher, path):
    publisher.allowances = [CUT, 0]
    line = refused(publisher.url(), path, MD5)
    assert f"{CUT} bytes are kept" in line
    assert names(path) == [".set.npz.part"]
    publisher.asked.clear()
    download(publisher.url(), path, MD5, progress=False)
    assert publisher.asked == [f"bytes={CUT}-"]
    assert path.read_bytes() == CONTENT
    assert names(path) == ["set.npz"]


def test_server_without_ranges_starts_over(publisher, path):
    publisher.allowances = [CUT, 0]
    refused(publisher.url(), path, MD5)
    publisher.ranges = False
    download(publisher.url(), path, MD5, progress=False)
    assert path.read_bytes() == CONTENT


def test_part_that_is_whole_already_is_used(publisher, path):
    path.parent.mkdir()
    (path.parent / ".set.npz.part").write_bytes(CONTENT)
    download(publisher.url(), path, MD5, progress=False)
    assert path.read_bytes() == CONTENT
    assert names(path) == ["set.npz"]


def test_part_that_is_longer_than_the_file_is_thrown_away(publisher, path):
    path.parent.mkdir()
    (path.parent / ".set.npz.part").write_bytes(CONTENT + b"more")
    refused(publisher.url(), path, MD5)
    assert names(path) == []
    download(publisher.url(), path, MD5, progress=False)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("resumed", [False, True])
def test_checksum_mismatch_leaves_nothing(publisher, path, resumed):
    if resumed:
        path.parent.mkdir()
        (path.parent / ".set.npz.part").write_bytes(b"of another file")
    wrong = MD5 if resumed else "0" * 32
    line = refused(publisher.url(), path, wrong)
    assert "checksum mismatch" in line
    assert wrong in line
    assert names(path) == []


def test_checksum_mismatch_keeps_the_file_that_was_there(publisher, path):
    path.parent.mkdir()
    path.write_bytes(b"old")
    refused(publisher.url(), path, "0" * 32)
    assert path.read_bytes() == b"old"


def test_absent_at_the_publisher(publisher, path):
    assert "404" in refused(publisher.url("/absent"), path, MD5)
    assert names(path) == []


def test_no_server(publisher, path):
    url = publisher.url()
    publisher.shutdown()
    publisher.server_close()
    assert "ConnectionError" in refused(url, path, MD5)
    assert names(path) == []


def test_no_right_to_write(publisher, path):
    path.parent.touch()
    line = refused(publisher.url(), path, MD5)
    assert "cannot write" in line
    assert publisher.asked == []


def test_no_space_is_told_before_anything_is_written(publisher, path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(10**6, 10**6 - 1000, 1000))
    line = refused(publisher.url(), path, MD5)
    assert "1 MB needed, 0 MB free" in line
    assert names(path) == []


def _download_with_little_space(url, path, answers):
    resource.setrlimit(resource.RLIMIT_FSIZE, (CUT, CUT))
    answers.put(refused(url, path, MD5))


def test_no_space_in_the_middle_leaves_nothing(publisher, path):
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    child = context.Process(target=_download_with_little_space, args=(publisher.url(), path, answers))
    child.start()
    assert "cannot write" in answers.get(timeout=60)
    child.join()
    assert names(path) == []
