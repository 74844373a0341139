import pytest
import torch
from safetensors.torch import save_file

from medtl_core.backbones import zoo
from medtl_core.backbones.weight_card import read_card, save_weights
from medtl_core.errors import MedtlError

CARD = {"sources": [{"dataset": "chest", "sha256": "ab"}], "steps": 3}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDTL_WEIGHTS", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", ["resnet18", "googlenet"])
def test_weights_come_back_with_their_card_and_normalisation(folder, name):
    backbone = zoo.build(name, num_classes=3, pretrained=False, seed=0)
    path = save_weights(backbone, "chest-1", CARD, folder)
    assert path == folder / f"{name}.chest-1.safetensors"
    assert read_card(path) == CARD
    again = zoo.build(f"{name}.chest-1", num_classes=5, pretrained=True, seed=1)
    assert again.weights.startswith(f"file {name}.chest-1.safetensors sha256:")
    assert again.normalisation == backbone.normalisation
    x = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        expected = zoo.pooled_features(backbone.network.eval(), x)
        assert torch.equal(zoo.pooled_features(again.network.eval(), x), expected)
    assert zoo.head_of(again.network).out_features == 5
    assert [file.name for file in folder.iterdir()] == [path.name]


def test_a_tag_without_file_is_an_unknown_name(folder):
    with pytest.raises(MedtlError, match=r"found 'resnet18\.nowhere'"):
        zoo.build("resnet18.nowhere", num_classes=2, pretrained=False)


def test_the_tagged_file_does_not_stand_in_for_the_untagged_name(folder, monkeypatch):
    backbone = zoo.build("tf_efficientnet_lite0", num_classes=2, pretrained=False, seed=0)
    save_weights(backbone, "chest", CARD, folder)
    assert zoo.weights_source("tf_efficientnet_lite0").startswith("package ")


def test_a_file_without_card_is_one_line(folder):
    path = folder / "resnet18.x.safetensors"
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(MedtlError, match="has no card in its metadata") as caught:
        read_card(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(MedtlError, match="has mean None in its metadata"):
        zoo.build("resnet18.x", num_classes=2, pretrained=True)


def test_a_damaged_file_is_one_line(folder):
    path = folder / "resnet18.x.safetensors"
    path.write_bytes(b"nothing")
    with pytest.raises(MedtlError, match="cannot be read"):
        read_card(path)


@pytest.mark.parametrize("tag", ["", "a.b", "a/b", "a b"])
def test_a_tag_that_is_no_part_of_a_file_name_is_refused(folder, tag):
    backbone = zoo.build("resnet18", num_classes=2, pretrained=False, seed=0)
    with pytest.raises(MedtlError, match="expected letters, digits"):
        save_weights(backbone, tag, CARD, folder)
    assert list(folder.iterdir()) == []
