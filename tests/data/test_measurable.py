"""Data on which nothing can be measured are refused before anything is trained, in one line."""

import time
from dataclasses import replace

import numpy as np
import pytest

from medtl_core.data.archives.archive import Archive, write_archive
from medtl_core.data.measurable import require_measurable
from medtl_core.data.sources import registry
from medtl_core.data.sources.preflight import comparable_checksum, examined, measurable_checksum
from medtl_core.data.splits import nested_subset, split
from medtl_core.errors import MedtlError

WORDS = np.array(["train"] * 120 + ["val"] * 30 + ["test"] * 50)


def made(labels=None, size=(12, 12), **more) -> Archive:
    labels = np.arange(200) % 2 if labels is None else np.asarray(labels)
    images = np.random.default_rng(0).integers(0, 256, (len(labels), *size), dtype=np.uint8)
    names = tuple("abcdefg"[: max(2, labels.max() + 1)])
    return Archive("made", images, labels.astype(np.int64), names, **more)


def without(label, word) -> Archive:
    """A published split of two classes, where one part lacks a class."""
    labels = np.arange(200) % 2
    labels[word == WORDS] = 1 - label
    return made(labels, splits=WORDS)


def test_what_can_be_measured_comes_back_split():
    archive = made(domains=np.array(["x"] * 80 + ["y"] * 120))
    parts = require_measurable(archive, train_sizes=[2, 120], val_size=10_000, test_size=2)
    assert np.array_equal(parts.train, split(archive).train)
    assert set(require_measurable(archive, domain="y").test) <= set(range(80, 200))


@pytest.mark.parametrize("word", ["train", "val", "test"])
def test_a_class_missing_in_a_published_part(word):
    with pytest.raises(
        MedtlError, match=f"made: key 'splits': found no image of class 'b' in {word}, "
    ) as told:
        require_measurable(without(1, word))
    assert "leave the class out" in str(told.value)
    require_measurable(without(1, word), published=False)


@pytest.mark.parametrize(
    ("archive", "asked", "words"),
    [
        (made(size=(40, 32)), {}, r"images of 40 x 32 px \(height x width\), expected square"),
        (made(), {"train_sizes": [50, 121]}, "120 training images, expected at least the 121 asked"),
        (
            made(),
            {"train_sizes": [1, 50]},
            "1 training images asked for, expected at least 2, one of each class",
        ),
        (made(np.arange(300) % 7), {"val_size": 5}, "5 validation images asked for, expected at least 7"),
        (made(np.arange(300) % 7), {"test_size": 6}, "6 test images asked for, expected at least 7"),
        (made([0] * 99 + [1] * 2), {}, "class 'b' in 2 images, expected at least 3"),
        (
            made(np.arange(200) % 2, domains=np.array(["x"] * 150 + ["y"] * 50)),
            {"domain": "y", "train_sizes": [40]},
            "made, domain 'y': found 30 training images",
        ),
    ],
)
def test_what_cannot_be_measured(archive, asked, words):
    with pytest.raises(MedtlError, match=words) as told:
        require_measurable(archive, **asked)
    assert "\n" not in str(told.value)
    assert "; " in str(told.value)  # what to do


def test_every_subset_that_is_asked_for_can_then_be_drawn():
    archive = made(np.arange(120) % 3, groups=np.array([f"p{i // 3 // 4}" for i in range(120)]))
    sizes = [3, 20, 60]
    parts = require_measurable(archive, train_sizes=sizes, val_size=3, test_size=1000)
    for size in sizes:
        assert len(nested_subset(archive.labels, parts.train, size, seed=1)) == size
    for pool, size in ((parts.val, 3), (parts.test, 1000)):
        drawn = nested_subset(archive.labels, pool, min(size, len(pool)), seed=1)
        assert set(archive.labels[drawn]) == {0, 1, 2}


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDTL_DATA", str(tmp_path))
    monkeypatch.setenv("MEDTL_CACHE", str(tmp_path / "cache"))
    examined.cache_clear()
    comparable_checksum.cache_clear()
    return tmp_path


def test_preflight_and_verify_ask_the_same_question(data):
    broken = {"oblong": made(size=(16, 12)), "no_val": without(0, "val"), "rare": made([0] * 99 + [1])}
    for name, archive in {**broken, "good": made()}.items():
        write_archive(archive, data / f"{name}.npz")
    assert measurable_checksum("good", train_sizes=(100,)) == registry.checksum("good")
    for sizes in ((1,), (121,)):
        with pytest.raises(MedtlError) as asked:
            require_measurable(made(), train_sizes=sizes)
        with pytest.raises(MedtlError, match=str(asked.value).removeprefix("made: ")):
            measurable_checksum("good", train_sizes=sizes)
    assert registry.verify("good")[0].ok
    for name, archive in broken.items():
        with pytest.raises(MedtlError) as asked:
            require_measurable(replace(archive, name=name))
        with pytest.raises(MedtlError) as before_a_run:
            measurable_checksum(name)
        (verified,) = registry.verify(name)
        assert not verified.ok
        assert str(asked.value) == str(before_a_run.value) == verified.text


def test_archives_that_are_only_compared_need_no_split(data):
    write_archive(without(0, "test"), data / "no_test.npz")
    write_archive(made(size=(16, 12)), data / "oblong.npz")
    assert comparable_checksum("no_test") == registry.checksum("no_test")
    assert comparable_checksum("pathmnist_224") is None
    with pytest.raises(MedtlError, match="oblong: found images of 16 x 12"):
        comparable_checksum("oblong")


@pytest.mark.slow
def test_ten_thousand_images_are_answered_at_once(large_archive):
    started = time.process_time()
    parts = require_measurable(large_archive, train_sizes=[1000], val_size=100, test_size=500)
    assert time.process_time() - started < 2  # 0.3 s on a laptop
    for part in (parts.train, parts.val, parts.test):
        assert (np.bincount(large_archive.labels[part], minlength=7) >= 10).all()
    for domain in np.unique(large_archive.domains):
        require_measurable(large_archive, domain=domain)
