"""From a source to the results of a notebook, as a new user types it, in the smallest setting."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from made_up_sources import SOURCES, save

ROOT = Path(__file__).resolve().parents[2]
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

    def run(*command):
        done = subprocess.run(
            list(map(str, command)), cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

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


def test_an_archive_of_a_script_runs_through_a_notebook(typed, tmp_path):
    source = SOURCES["figshare_brain_tumours"](tmp_path / "source", n=40)
    script = ROOT / "data_scripts" / "figshare_brain_tumours.py"
    typed(sys.executable, script, source, "archives/tumours.npz", "--size", 28)
    assert fine_tuned(typed, tmp_path, "tumours")


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
