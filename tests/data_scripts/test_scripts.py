"""Each script on a small made-up source with its publisher's layout."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medtl_core.data.archives.archive import read_archive
from medtl_core.data.importers.script import import_published

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted((ROOT / "data_scripts").glob("*.py"))


def imported(script, source, out):
    spec = importlib.util.spec_from_file_location(script, ROOT / "data_scripts" / f"{script}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    import_published(module.list_cases, source, out, 16)
    return read_archive(out)


def save(path, pixels=None, seed=0, channels=()):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (20, 24, *channels), np.uint8)
    Image.fromarray(noise if pixels is None else pixels).save(path)


def save_kermany(folder):
    names = {"NORMAL": "IM-0{}-000{}.jpeg", "PNEUMONIA": "person{}_bacteria_{}.jpeg"}
    for k, split in enumerate(("train", "test", "val")):
        for name, pattern in names.items():
            for i in range(2):
                save(folder / split / name / pattern.format(100 * (k + 1) + i // 2, i), seed=10 * k + i)
    save(folder / "train" / "NORMAL" / "NORMAL2-IM-0100-0001.jpeg")
    (folder / "train" / ".DS_Store").write_text("")
    return folder


def save_busi(folder):
    for name in ("benign", "malignant", "normal"):
        for i in (1, 2):
            mask = np.zeros((20, 24), np.uint8)
            if name != "normal":
                mask[2:6, :8] = 255
            save(folder / name / f"{name} ({i}).png", seed=i, channels=(3,))
            save(folder / name / f"{name} ({i})_mask.png", mask)
    second = np.zeros((20, 24), np.uint8)
    second[10:16, 8:] = 255
    save(folder / "benign" / "benign (1)_mask_1.png", second)
    return folder


def save_ham10000(folder):
    head = "lesion_id,image_id,dx,dx_type,age,sex,localization,dataset"
    rows = [
        f"HAM_000{i // 2},ISIC_002{i},{('nv', 'mel')[i // 2]},histo,8{i}.0,male,back,vidir" for i in range(4)
    ]
    for i in range(4):
        save(folder / f"HAM10000_images_part_{i % 2 + 1}" / f"ISIC_002{i}.jpg", seed=i, channels=(3,))
    (folder / "HAM10000_metadata.csv").write_text("\n".join([head, *rows]))
    return folder


def test_kermany(tmp_path):
    archive = imported("kermany_chest_xray", save_kermany(tmp_path / "chest_xray"), tmp_path / "a.npz")
    assert archive.class_names == ("NORMAL", "PNEUMONIA")
    assert {word: int((archive.splits == word).sum()) for word in ("train", "val", "test")} == {
        "train": 5, "val": 4, "test": 4,
    }  # fmt: skip
    assert {"IM-0100", "NORMAL2-IM-0100", "person100"} <= set(archive.groups.tolist())


def test_busi(tmp_path):
    archive = imported("busi", save_busi(tmp_path / "Dataset_BUSI_with_GT"), tmp_path / "a.npz")
    assert archive.class_names == ("benign", "malignant", "normal")
    assert archive.images.shape == (6, 16, 16, 3)
    areas = archive.masks.reshape(6, -1).sum(1)
    assert areas[0] > areas[1] > 0
    assert not areas[4:].any()


def test_ham10000(tmp_path):
    archive = imported("ham10000", save_ham10000(tmp_path / "ham"), tmp_path / "a.npz")
    assert archive.class_names == ("mel", "nv")
    assert archive.labels.tolist() == [1, 1, 0, 0]
    assert archive.groups.tolist() == ["HAM_0000", "HAM_0000", "HAM_0001", "HAM_0001"]
    assert archive.domains.tolist() == ["vidir"] * 4
    assert archive.metadata["age"].tolist() == ["80.0", "81.0", "82.0", "83.0"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_refuses_in_one_line_and_stands_in_the_table(script, tmp_path):
    command = [sys.executable, script, tmp_path / "absent", tmp_path / "a.npz"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("medtl: ")
    assert f"| `{script.name}` |" in (ROOT / "data_scripts" / "README.md").read_text("utf-8")
