"""From a source to the results of a notebook, as a new user types it, in the smallest setting."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from made_up_sources import SOURCES, save
from notebook_here import run_here
from scripts import NAMES, ROOT, script

MEDTL = [sys.executable, "-c", "from medtl_core.cli.app import main; main()"]
SMALLEST = {
    "image_size": 28,
    "train_sizes": 16,
    "val_size": 10,
    "test_size": 20,
    "seeds": 1,
    "steps": 4,
    "pretrain_steps": 10,
    "batch_size": 8,
}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def typed(tmp_path, monkeypatch):
    """Runs a command from the folder of the sources, with MEDTL_DATA in it; what it printed."""
    for name in ("MEDTL_OUT", "MEDTL_PROJECT", "MEDTL_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    settings = {"MEDTL_DATA": tmp_path / "archives", "MEDTL_STORE": tmp_path / "store"}
    environment = os.environ | {name: str(path) for name, path in settings.items()}
    environment |= {"PYTHONPATH": str(ROOT), "MEDTL_PROJECT": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}

    def run(*command, status=0):
        done = subprocess.run(
            list(map(str, command)), cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == status, done.stderr
        return done.stderr if status else done.stdout

    return run


def fine_tuned(typed, tmp_path, name):
    """Verdicts of 02_fine_tuning on an archive."""
    options = [text for key, value in SMALLEST.items() for text in ("-p", f"{key}={value}")]
    out = tmp_path / "run"
    said = typed(*MEDTL, "run", "02_fine_tuning", "-p", f"dataset={name}", *options, "--out", out)
    assert f"What 02_fine_tuning@{name} found: {out}/notebooks/02_fine_tuning@{name}." in said
    (state,) = (out / "state").glob("02_fine_tuning@*.json")
    assert json.loads(state.read_text())["status"] == "done"
    return json.loads((out / "ledger.json").read_text())


IMAGES = {  # of the made-up sources; enough for 16 training images and every class in every part
    "bccd": 14,
    "dsb2018_nuclei": 20,
    "kermany_chest_xray": 12,
    "msd_hippocampus": 8,
    "white_blood_cells": 14,
}
IN_THE_SUITE = ("kermany_chest_xray", "ham10000", "figshare_brain_tumours")  # folders, a table, masks


@pytest.mark.parametrize("name", NAMES)
def test_the_archive_of_a_script_runs_through_a_notebook(name, tmp_path, monkeypatch, request):
    """With its masks, groups, domains and published split; every script with --every-script."""
    if name not in IN_THE_SUITE and not request.config.getoption("--every-script", False):
        pytest.skip("runs with --every-script")
    for variable, folder in (("DATA", "archives"), ("STORE", "store"), ("OUT", "out")):
        monkeypatch.setenv(f"MEDTL_{variable}", str(tmp_path / folder))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    source = SOURCES[name](tmp_path / "source", n=IMAGES.get(name, 30))
    script(name).import_published(source, tmp_path / "archives" / f"{name}.npz", SMALLEST["image_size"])
    parameters = SMALLEST | {"dataset": name, "train_sizes": [SMALLEST["train_sizes"]], "seeds": 2}
    found = run_here(ROOT / "notebooks" / "02_fine_tuning.py", parameters)
    archive, records = found["archive"], found["records"]
    assert (archive.name, archive.provenance[-1][:8]) == (name, "imported")
    scores = records[records.metric == "auroc"].pivot(index="seed", columns="arm", values="value")
    assert {"scratch", "linear_probe", "full"} <= set(scores)
    assert scores.index.tolist() == [0, 1]
    assert ((scores >= 0) & (scores <= 1)).all(axis=None)
    assert set(records.dataset) == {name}


def test_an_archive_of_volumes_is_refused_in_one_line_that_says_why(typed, tmp_path):
    source = SOURCES["msd_hippocampus"](tmp_path / "source")
    typed(
        *MEDTL, "data", "import", "volumes", source / "imagesTr", "--masks", source / "labelsTr",
        "--window", "1%:99%", "--size", 16, "--out", "archives/volumes.npz",
    )  # fmt: skip
    said = typed(*MEDTL, "run", "02_fine_tuning", "-p", "dataset=volumes", "--out", "run", status=2)
    assert said.count("\n") == 1
    assert "found volumes, expected images; volumes are for segmentation, save their slices" in said
    assert not (tmp_path / "run").exists()


def test_a_folder_of_images_becomes_results_in_the_commands_of_the_readme(typed, tmp_path):
    rng = np.random.default_rng(0)
    for i in range(120):
        name, suffix = (("normal", "png"), ("pneumonia", "jpeg"))[i % 2]
        pixels = rng.integers(0, 128, (30 + i % 7, 40 + i % 5), np.uint8) + np.uint8(i % 2 * 60)
        save(tmp_path / "chest" / name / f"person{i // 4}_{i}.{suffix}", pixels)
    out = typed(
        *MEDTL, "data", "import", "folders", "chest", "--patient", r"(person\d+)", "--size", 28,
        "--out", "archives/chest.npz",
    )  # fmt: skip
    assert "found for 120 of 120 files" in out
    assert typed(*MEDTL, "data", "audit", "chest")
    assert "archive chest.npz" in typed(*MEDTL, "data", "show", "chest")
    assert fine_tuned(typed, tmp_path, "chest")
