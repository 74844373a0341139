import json
import sys

import numpy as np
import pytest
import torch

from medtl_core.backbones import zoo
from medtl_core.backbones.weight_card import read_card
from medtl_core.cli import app as cli
from medtl_core.data.sources import registry
from medtl_core.data.splits import split
from medtl_core.errors import MedtlError
from medtl_core.transfer.pretraining import Source, pretrain

QUICK = {"image_size": 28, "steps": 2, "batch_size": 64}


@pytest.fixture
def archives(tmp_path, monkeypatch):
    """Two small archives: a grey one of two domains, and one in colour with three classes."""
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 2
    np.savez(
        tmp_path / "grey.npz",
        images=rng.integers(0, 255, (120, 28, 28), dtype=np.uint8),
        labels=labels,
        class_names=np.array(["a", "b"]),
        domains=np.array(["left", "right"] * 60)[np.argsort(labels, kind="stable").argsort()],
    )
    np.savez(
        tmp_path / "colour.npz",
        images=rng.integers(0, 255, (90, 28, 28, 3), dtype=np.uint8),
        labels=np.arange(90) % 3,
        class_names=np.array(["x", "y", "z"]),
    )
    monkeypatch.setenv("MEDTL_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture(autouse=True)
def broken_archives(archives):
    """One whose published validation part lacks a class, and one whose images are not square."""
    rng = np.random.default_rng(1)
    words = np.array(["train", "val", "test"] * 30)
    named = {"class_names": np.array(["a", "b"])}
    np.savez(
        archives / "no_val.npz",
        images=rng.integers(0, 255, (90, 28, 28), dtype=np.uint8),
        labels=np.where(words == "val", 0, np.arange(90) // 3 % 2),
        splits=words,
        **named,
    )
    np.savez(
        archives / "oblong.npz",
        images=rng.integers(0, 255, (90, 28, 20), dtype=np.uint8),
        labels=np.arange(90) % 2,
        **named,
    )


@pytest.mark.slow
def test_several_sets_are_pooled_with_their_classes_side_by_side(archives):
    backbone, card = pretrain("resnet18", [Source("grey"), Source("colour")], **QUICK)
    assert card["classes"] == ["grey: a", "grey: b", "colour: x", "colour: y", "colour: z"]
    assert zoo.head_of(backbone.network).out_features == 5
    train = [split(registry.load(name), seed=0).train for name in ("grey", "colour")]
    assert card["training_images"] == sum(map(len, train))
    grey, colour = (registry.load(n).images[i] / 255 for n, i in zip(("grey", "colour"), train, strict=True))
    values = np.concatenate([np.repeat(grey[..., None], 3, axis=3), colour]).reshape(-1, 3)
    assert backbone.normalisation.mean == pytest.approx(values.mean(0), abs=1e-5)
    assert backbone.normalisation.std == pytest.approx(values.std(0, ddof=1), abs=1e-5)


@pytest.mark.slow
def test_a_domain_alone_and_grey_images_give_three_channels(archives):
    backbone, card = pretrain("resnet18", [Source.parse("grey:left")], **QUICK)
    assert card["sources"] == [{"dataset": "grey", "domain": "left", "sha256": registry.checksum("grey")}]
    assert len(backbone.normalisation.mean) == 3
    assert 30 <= card["training_images"] <= 40


@pytest.mark.slow
def test_training_changes_the_weights_and_the_seed_repeats_them(archives):
    first, _ = pretrain("resnet18", [Source("colour")], **QUICK)
    again, _ = pretrain("resnet18", [Source("colour")], **QUICK)
    start = zoo.build("resnet18", num_classes=3, pretrained=False, seed=0)
    assert torch.equal(first.network.conv1.weight, again.network.conv1.weight)
    assert not torch.equal(first.network.conv1.weight, start.network.conv1.weight)


@pytest.mark.parametrize("sources", [[], [Source("grey"), Source("grey")]])
def test_no_source_or_one_twice_is_refused(archives, sources):
    with pytest.raises(MedtlError, match="expected at least one, and each once"):
        pretrain("resnet18", sources, **QUICK)


def medtl(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["medtl", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return stopped.value.code


@pytest.mark.slow
def test_the_command_writes_a_file_that_is_found_again(archives, monkeypatch, capsys):
    folder = archives / "weights"
    quick = ["--steps", 2, "--image-size", 28, "--out", folder]
    assert medtl(monkeypatch, "pretrain", "resnet18", "grey:left", "colour", *quick) == 0
    path = folder / "resnet18.grey-left-colour.safetensors"
    assert read_card(path)["steps"] == json.loads(json.dumps(read_card(path)))["steps"] >= 2
    assert "MEDTL_WEIGHTS" in capsys.readouterr().out
    monkeypatch.setenv("MEDTL_WEIGHTS", str(folder))
    found = zoo.build("resnet18.grey-left-colour", num_classes=2, pretrained=True)
    assert found.weights.startswith("file resnet18.grey-left-colour.safetensors")
    before = path.read_bytes()
    assert medtl(monkeypatch, "pretrain", "resnet18", "grey:left", "colour", *quick) == 2
    assert "exists already; choose another --tag or --out" in capsys.readouterr().err
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["resnet18", "grey"], "expected --out DIR or MEDTL_WEIGHTS"),
        (["resnet18", "nowhere", "--out", "{out}"], "data set 'nowhere'"),
        (["resnet18", "grey:north", "--out", "{out}"], "north"),
        (
            ["resnet18", "no_val", "--out", "{out}"],
            "no_val: key 'splits': found no image of class 'b' in val",
        ),
        (["resnet18", "grey", "oblong", "--out", "{out}"], "oblong: found images of 28 x 20 px"),
        (["resnot18", "grey", "--out", "{out}"], "expected a name of timm"),
        (["resnet18", "grey", "--tag", "a/b", "--out", "{out}"], "expected letters, digits"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(archives, monkeypatch, capsys, arguments, said):
    monkeypatch.delenv("MEDTL_WEIGHTS", raising=False)
    out = archives / "weights"
    code = medtl(monkeypatch, "pretrain", *[a.replace("{out}", str(out)) for a in arguments])
    error = capsys.readouterr().err
    assert code == 2
    assert said in error
    assert error.count("\n") == 1
    assert not out.exists()
