"""The registry: what there is, in which order it is looked for, and what is said when it is not there."""

import hashlib
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from publisher import publishing

from medtl_core.data.archives import medmnist_table
from medtl_core.data.sources import registry
from medtl_core.errors import MedtlError

SETS = {
    *("pathmnist", "chestmnist", "dermamnist", "octmnist", "pneumoniamnist", "retinamnist", "breastmnist"),
    *("bloodmnist", "tissuemnist", "organamnist", "organcmnist", "organsmnist"),
}


@pytest.fixture
def data(tmp_path, monkeypatch):
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("MEDTL_DATA", str(folder))
    monkeypatch.setenv("MEDTL_CACHE", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def cache(tmp_path, data):
    folder = tmp_path / "cache" / "archives"
    folder.mkdir(parents=True)
    return folder


def save_own(path, grey=7, **more):
    images = np.random.default_rng(0).integers(0, 256, (40, 12, 12, 3), dtype=np.uint8)
    images[0] = grey
    content = {
        "images": images,
        "labels": np.arange(40) % 2,
        "class_names": np.array(["benign", "malignant"]),
    } | more
    np.savez(path, **content)
    return path


def save_medmnist(path, size=28, counts=(8, 4, 4)):
    rng = np.random.default_rng(0)
    content = {}
    for split, n in zip(("train", "val", "test"), counts, strict=True):
        content[f"{split}_images"] = rng.integers(0, 256, (n, size, size), dtype=np.uint8)
        content[f"{split}_labels"] = (np.arange(n) % 2)[:, None]
    np.savez(path, **content)
    return path


def publish(monkeypatch, content, url):
    row = medmnist_table.published_sets()["breastmnist"]
    made_up = replace(row, url=url, md5=hashlib.md5(content).hexdigest())
    monkeypatch.setattr(registry, "published_sets", lambda: {"breastmnist": made_up})


def test_every_flat_medmnist_set_at_every_size_as_its_publisher_describes_it(data, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))  # the package makes a folder there when it is imported
    import medmnist

    expected = {flag if size == 28 else f"{flag}_{size}" for flag in SETS for size in (28, 64, 128, 224)}
    assert set(medmnist_table.published_sets()) == expected
    assert expected <= set(registry.names())
    for flag in SETS:
        info = medmnist.INFO[flag]
        for size in (28, 64, 128, 224):
            suffix = "" if size == 28 else f"_{size}"
            card = registry.card(flag + suffix)
            assert (card.url, card.md5) == (info[f"url{suffix}"], info[f"MD5{suffix}"])
            assert (card.n, card.size) == (sum(info["n_samples"].values()), size)
            assert (card.channels, card.licence) == (info["n_channels"], info["license"])
            assert card.class_names == tuple(info["label"].values())
            assert (card.location, card.path) == ("publisher", None)


@pytest.mark.slow
def test_neither_torch_nor_a_download_library_is_imported_and_no_folder_made(tmp_path):
    source = (
        "import sys; from medtl_core.data.sources import registry; registry.names(); "
        "registry.card('pathmnist_64'); "
        "print(sorted({'torch', 'medmnist', 'requests', 'pooch', 'matplotlib'} & set(sys.modules)))"
    )
    environment = {"HOME": str(tmp_path), "PATH": ""}
    answer = subprocess.run(
        [sys.executable, "-c", source], env=environment, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"
    assert list(tmp_path.iterdir()) == []


def test_archive_in_the_data_folder_goes_by_its_stem(data):
    path = save_own(data / "my_cells.npz")
    assert "my_cells" in registry.names()
    assert "my_cells" in registry.local_names()
    assert registry.locate("my_cells") == path
    card = registry.card("my_cells")
    assert (card.n, card.size, card.channels, card.class_names) == (40, 12, 3, ("benign", "malignant"))
    assert (card.location, card.path) == ("MEDTL_DATA", path)
    assert registry.load("my_cells").name == "my_cells"
    assert registry.fetch("my_cells") == path
    assert registry.checksum("my_cells") == hashlib.sha256(path.read_bytes()).hexdigest()


def test_card_of_a_set_in_medmnist_layout(data):
    save_medmnist(data / "own.npz")
    card = registry.card("own")
    assert (card.n, card.size, card.channels, card.class_names) == (16, 28, 1, ("class_0", "class_1"))
    path = save_medmnist(data / "breastmnist_64.npz", 64, (546, 78, 156))
    card = registry.card("breastmnist_64")
    assert (card.n, card.size, card.location, card.path) == (780, 64, "MEDTL_DATA", path)
    assert card.licence == "CC BY 4.0"


def test_data_folder_comes_before_the_cache(data, cache):
    save_own(cache / "twice.npz", grey=1)
    assert registry.card("twice").location == "cache"
    assert registry.load("twice").images[0, 0, 0, 0] == 1
    save_own(data / "twice.npz", grey=2)
    assert registry.card("twice").location == "MEDTL_DATA"
    assert registry.load("twice").images[0, 0, 0, 0] == 2


def test_one_bad_file_does_not_hide_the_others(data):
    save_own(data / "good.npz")
    (data / "cut.npz").write_bytes(b"cut")
    np.savez(data / "brains.npz", volumes=np.zeros((3, 8, 8, 8), np.uint8), groups=np.array(["a", "b", "c"]))
    cards, unusable = registry.local_cards()
    assert [card.name for card in cards] == [*registry.SPECS, "good"]
    assert set(unusable) == {"cut", "brains"}
    assert "volumes are for segmentation" in unusable["brains"]


def test_hidden_files_are_no_data_sets(data):
    save_own(data / ".set.npz")
    assert registry.local_names() == list(registry.SPECS)


def test_fetched_from_the_publisher_into_the_cache_once(data, cache, tmp_path, monkeypatch):
    content = save_medmnist(tmp_path / "made_up.npz", counts=(546, 78, 156)).read_bytes()
    with publishing(content) as publisher:
        publish(monkeypatch, content, publisher.url())
        with pytest.raises(MedtlError, match="get it with `medtl data fetch breastmnist`"):
            registry.load("breastmnist")
        assert publisher.asked == []
        assert registry.fetch("breastmnist", progress=False) == cache / "breastmnist.npz"
        assert registry.fetch("breastmnist", progress=False) == cache / "breastmnist.npz"
        assert len(publisher.asked) == 1
    assert registry.load("breastmnist").class_names == ("malignant", "normal, benign")
    assert registry.card("breastmnist").location == "cache"
    save_medmnist(cache / "breastmnist.npz", 30)
    with pytest.raises(MedtlError, match=r"checksum mismatch.*medtl data fetch breastmnist"):
        registry.load("breastmnist")
    assert not registry.verify("breastmnist")[0].ok


def test_published_set_in_the_data_folder_is_not_downloaded(data):
    path = save_medmnist(data / "breastmnist.npz")
    assert registry.fetch("breastmnist") == path
    assert registry.load("breastmnist").n == 16


@pytest.mark.parametrize("action", ["load", "card", "locate", "fetch", "checksum", "verify"])
def test_unknown_name_is_told_with_a_near_one(data, action):
    with pytest.raises(MedtlError, match="did you mean 'breastmnist'") as caught:
        getattr(registry, action)("breastmist")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("action", ["load", "checksum", "verify"])
def test_set_that_is_not_fetched_yet(data, action):
    with pytest.raises(MedtlError, match="medtl data fetch pathmnist_64"):
        getattr(registry, action)("pathmnist_64")


def test_multi_label_set_is_refused_before_it_is_fetched(data):
    with pytest.raises(MedtlError, match="multi-label"):
        registry.load("chestmnist")
    assert "not supported" in registry.card("chestmnist").title


def test_data_folder_that_is_none(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDTL_DATA", str(tmp_path / "absent"))
    with pytest.raises(MedtlError, match="MEDTL_DATA"):
        registry.names()


@pytest.mark.slow
def test_phantoms_need_nothing(data):
    archive = registry.load("phantoms")
    card = registry.card("phantoms")
    assert (card.n, card.size, card.channels) == (archive.n, archive.width, archive.channels)
    assert card.class_names == archive.class_names
    assert archive.synthetic
    assert (card.location, registry.locate("phantoms")) == ("phantoms", None)
    with pytest.raises(MedtlError, match="nothing to fetch"):
        registry.fetch("phantoms")


def test_checksum_of_phantoms_follows_the_spec(data, monkeypatch):
    before = registry.checksum("phantoms")
    assert before == registry.checksum("phantoms")
    changed = replace(registry.SPECS["phantoms"], n=registry.SPECS["phantoms"].n + 1)
    monkeypatch.setitem(registry.SPECS, "phantoms", changed)
    assert registry.checksum("phantoms") != before


def test_archive_may_not_take_the_name_of_the_phantoms(data):
    save_own(data / "phantoms.npz")
    with pytest.raises(MedtlError, match="rename"):
        registry.load("phantoms")


def test_verify_tells_good_from_bad(data, monkeypatch):
    monkeypatch.setattr(registry, "SPECS", {})
    good = save_own(data / "good.npz")
    words = np.array(["train", "train", "test", "test"] * 10)
    save_own(data / "leaking.npz", splits=words, groups=np.array(["p"] * 40))
    save_own(data / "one_sided.npz", splits=np.array(["train", "test"] * 20))
    save_medmnist(data / "breastmnist.npz")
    (data / "cut.npz").write_bytes(good.read_bytes()[:500])
    save_own(data / "listed.npz")
    save_own(data / "tampered.npz", grey=9)
    digest = hashlib.sha256((data / "listed.npz").read_bytes()).hexdigest()
    (data / "SHA256SUMS").write_text(f"{digest}  listed.npz\n{digest} *tampered.npz\n")
    answers = {answer.name: answer for answer in registry.verify()}
    assert {name for name, answer in answers.items() if answer.ok} == {"good", "listed"}
    assert answers["good"].text == "40 images, split 24/6/10, no checksum to compare with"
    assert "SHA-256" in answers["listed"].text
    assert "two splits" in answers["leaking"].text
    assert "class 'malignant'" in answers["one_sided"].text
    assert "MD5" in answers["breastmnist"].text
    assert "rename or replace" in answers["breastmnist"].text  # fetching would give the same file
    assert "cut.npz" in answers["cut"].text
    assert "checksum mismatch" in answers["tampered"].text
    assert [answer.name for answer in registry.verify("good")] == ["good"]


@pytest.mark.parametrize(
    "line",
    [
        "{digest}  mine.npz\n",
        "# made by hand\n\n{digest} *archives/mine.npz\r\n",
        "\ufeff{digest}  ./mine.npz\n",  # a byte-order mark, as Windows writes one
        "SHA256 (mine.npz) = {digest}\n",
        "{upper}\tmine.npz\n",
    ],
)
def test_checksum_lists_of_common_programs_are_read(data, line):
    save_own(data / "mine.npz")
    digest = hashlib.sha256((data / "mine.npz").read_bytes()).hexdigest()
    text = line.format(digest=digest, upper=digest.upper())
    (data / "SHA256SUMS").write_bytes(text.encode())
    assert "SHA-256 of SHA256SUMS" in registry.verify("mine")[0].text
    wrong = line.format(digest="0" * 64, upper="0" * 64)
    (data / "SHA256SUMS").write_bytes(wrong.encode())
    assert not registry.verify("mine")[0].ok


@pytest.mark.parametrize("content", ["mine.npz\n".encode("utf-16"), b"\xe4  mine.npz\n", b"12ab  mine.npz\n"])
def test_a_checksum_list_that_cannot_be_read_is_one_line(data, content):
    save_own(data / "mine.npz")
    (data / "SHA256SUMS").write_bytes(content)
    found = registry.verify("mine")[0]
    assert not found.ok
    assert "SHA256SUMS" in found.text
    assert "expected" in found.text
    assert "\n" not in found.text


def test_the_end_of_a_name_may_be_in_capitals(data):
    save_own(data / "mine.npz")
    (data / "mine.npz").rename(data / "mine.NPZ")
    assert registry.load("mine").n == 40
