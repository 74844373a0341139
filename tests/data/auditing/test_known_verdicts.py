"""A verdict is reached once for each content, and again for another one."""

import json

import numpy as np
import pytest

from medtl_core.data.archives.archive import Archive, write_archive
from medtl_core.data.auditing import known_verdicts
from medtl_core.data.auditing.known_verdicts import known_verdict
from medtl_core.errors import MedtlError


def write(folder, copies):
    """An archive of 60 patients with two images each; `copies` of its last images stand in training too."""
    images = np.random.default_rng(0).integers(0, 256, (120, 20, 20), np.uint8)
    images[120 - copies :] = images[:copies]
    splits = np.array(["train"] * 60 + ["val"] * 20 + ["test"] * 40)
    groups = np.array([f"p{i // 2}" for i in range(120)])
    archive = Archive("mine", images, np.arange(120) // 2 % 2, ("a", "b"), groups=groups, splits=splits)
    (folder / "mine.npz").unlink(missing_ok=True)
    write_archive(archive, folder / "mine.npz")


@pytest.fixture
def known(tmp_path, monkeypatch):
    """Asks for the verdict on `mine`: the verdict, and whether it was reached by this call."""
    monkeypatch.setenv("MEDTL_DATA", str(tmp_path))
    write(tmp_path, copies=0)

    def ask():
        begun = []
        return known_verdict("mine", tmp_path / "kept", begun.append), begun == ["mine"]

    return ask


def test_a_verdict_is_reached_once_for_each_content(known, tmp_path):
    assert [(str(verdict), judged) for verdict, judged in (known(), known())] == [
        ("clean", True),
        ("clean", False),
    ]
    write(tmp_path, copies=3)
    (verdict, judged), (again, judged_again) = known(), known()
    assert (verdict.word, judged) == ("leaky", True)
    assert verdict.why == "3 of 40 test images are pixel-identical to train images"
    assert (again, judged_again) == (verdict, False)


def test_a_verdict_of_other_code_is_reached_again(known, monkeypatch):
    known()
    monkeypatch.setattr(known_verdicts, "package_hash", lambda rooms: "another")
    assert known()[1]


def test_a_damaged_verdict_is_one_line(known, tmp_path):
    known()
    (file,) = (tmp_path / "kept").iterdir()
    for damaged in ("{", "[]", json.dumps({"word": "clean"})):
        file.write_text(damaged)
        with pytest.raises(MedtlError, match="expected a verdict; delete it and run again"):
            known()
