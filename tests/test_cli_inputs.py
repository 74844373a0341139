"""What a run's parameters name is checked and is in its key, whatever the parameters are called."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from medtl_core.backbones import zoo
from medtl_core.cli.inputs import audited, inspect_inputs, require_networks
from medtl_core.data.archives.archive import Archive, write_archive
from medtl_core.data.sources import preflight
from medtl_core.data.sources.registry import checksum, load
from medtl_core.errors import MedtlError
from medtl_core.runner.notebooks import choose
from medtl_core.runner.parameters import read_parameters
from medtl_core.runner.profiles import profile_names, read_profile

PROJECT = Path(__file__).parents[1]
CELL = """\
dataset: str = "mine"  # archive; a data set
domain: str = ""  # part of it; a domain
further: list[str] = ["other"]  # looked at; a data set
network: str = "resnet18"  # trained; a network
networks: list[str] = ["resnet18.medical"]  # compared; a network
pretrained_on: str = "third:left"  # pretrained on; a source
unlabelled: list[str] = ["other"]  # joins the pool; a source without labels
train_sizes: list[int] = [4, 8]  # training images; at least 2
image_size: int = 32  # pixels; 8 to 224
"""


def archive(folder, name, seed, domains=("left", "right"), masks=None):
    rng = np.random.default_rng(seed)
    images, labels = rng.integers(0, 256, (120, 16, 16), np.uint8), np.arange(120) % 2
    places = np.array(domains)[np.arange(120) // 2 % 2]
    write_archive(
        Archive(
            name,
            images,
            labels,
            ("a", "b"),
            None,
            places,
            masks,
            () if masks is None else ("nothing", "object"),
            None,
            {},
        ),
        folder / f"{name}.npz",
    )


@pytest.fixture
def notebook(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "weights").mkdir()
    for seed, name in enumerate(("mine", "other", "third")):
        archive(tmp_path / "data", name, seed)
    (tmp_path / "weights" / "resnet18.medical.safetensors").write_bytes(b"weights")
    monkeypatch.setenv("MEDTL_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("MEDTL_WEIGHTS", str(tmp_path / "weights"))
    preflight.examined.cache_clear()
    preflight.comparable_checksum.cache_clear()
    return SimpleNamespace(parameters=read_parameters(CELL, "01_a"), makes_own_splits=False)


def values(notebook, **more):
    return notebook.parameters.defaults | more


def test_everything_that_is_named_is_in_the_key(notebook, tmp_path):
    inputs = inspect_inputs(notebook, values(notebook))
    assert {name: inputs[name] for name in ("mine", "other", "third")} == {
        name: checksum(name) for name in ("mine", "other", "third")
    }
    assert len(inputs) == 4
    (tmp_path / "weights" / "resnet18.medical.safetensors").write_bytes(b"others")
    again = inspect_inputs(notebook, values(notebook))
    changed = [name for name in inputs if again[name] != inputs[name]]
    assert changed == ["resnet18.medical.safetensors"]


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({"dataset": "absent"}, "absent"),
        ({"domain": "up"}, "up"),
        ({"pretrained_on": "absent"}, "absent"),
        ({"pretrained_on": "third:up"}, "up"),
        ({"train_sizes": [4, 5000]}, "5000"),
    ],
)
def test_what_cannot_be_had_or_measured_is_refused(notebook, more, found):
    with pytest.raises(MedtlError, match=found):
        inspect_inputs(notebook, values(notebook, **more))


def test_a_notebook_that_needs_masks_is_refused_data_without_them_before_it_starts(notebook, tmp_path):
    cell = CELL.replace("archive; a data set", "archive; a data set with masks")
    notebook.parameters = read_parameters(cell, "01_a")
    with pytest.raises(MedtlError, match="mine: found no masks, expected the outline of an object"):
        inspect_inputs(notebook, values(notebook))
    archive(tmp_path / "data", "outlined", 4, masks=np.ones((120, 16, 16), np.uint8))
    assert inspect_inputs(notebook, values(notebook, dataset="outlined"))["outlined"] == checksum("outlined")


def test_a_source_without_labels_needs_neither_every_class_nor_a_split(notebook, tmp_path):
    archive(tmp_path / "data", "small", 5, domains=("up", "down"))
    few = load("small").subset(np.array([0, 2, 4]))  # three images of one class
    write_archive(replace(few, name="few"), tmp_path / "data" / "few.npz")
    with pytest.raises(MedtlError, match="few"):
        inspect_inputs(notebook, values(notebook, pretrained_on="few:up"))
    assert inspect_inputs(notebook, values(notebook, unlabelled=["few:up"]))["few"] == checksum("few")
    with pytest.raises(MedtlError, match="few: found no domain 'left', expected one of down, up"):
        inspect_inputs(notebook, values(notebook, unlabelled=["few:left"]))


def test_the_size_of_a_subset_is_not_asked_of_a_notebook_that_makes_its_own_splits(notebook):
    notebook.makes_own_splits = True
    assert inspect_inputs(notebook, values(notebook, train_sizes=[5000]))["mine"]


def test_each_network_is_built_with_its_weights_and_called_at_the_image_size(notebook, monkeypatch):
    asked = []

    def build(name, *, num_classes, pretrained):
        asked.append((name, pretrained))
        return real(name, num_classes=num_classes, pretrained=False)

    real = zoo.build
    monkeypatch.setattr(zoo, "build", build)  # the weights themselves are another test's
    run = SimpleNamespace(notebook=notebook, parameters=values(notebook, networks=["vgg11"]))
    require_networks([run, run])
    assert asked == [("resnet18", True), ("vgg11", True)]
    run.parameters["image_size"] = 16
    with pytest.raises(
        MedtlError, match="backbone vgg11: found image_size 16, which it does not take"
    ) as error:
        require_networks([run])
    assert "\n" not in str(error.value)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Mapping deprecated model name")
def test_every_network_of_a_profile_takes_the_image_size_that_goes_with_it():
    asked, notebooks = set(), choose(PROJECT, [])
    for name in profile_names(PROJECT / "notebooks" / "profiles"):
        profile = read_profile(PROJECT / "notebooks" / "profiles", name)
        for one in notebooks:
            plan = profile.plan(one.name)
            for more in plan.runs:
                given = one.parameters.defaults | plan.parameters | more
                networks = one.parameters.named("a network", given)
                asked |= {(network, given["image_size"]) for network in networks}
    assert ("inception_v3", 96) in asked
    with torch.device("meta"):
        for network, size in sorted(asked):
            built = zoo.build(network, num_classes=2, pretrained=False).network.eval()
            assert built(torch.empty(2, 3, size, size)).shape == (2, 2), (network, size)


def test_a_network_without_its_weights_is_refused(notebook):
    parameters = values(notebook, network="resnet18.medical")  # the file holds no weights
    with pytest.raises(MedtlError, match=r"resnet18\.medical"):
        require_networks([SimpleNamespace(notebook=notebook, parameters=parameters)])


def test_each_data_set_at_hand_is_audited_once_and_weights_are_not(notebook, tmp_path, monkeypatch):
    monkeypatch.setenv("MEDTL_CACHE", str(tmp_path / "cache"))
    given = values(notebook, further=["other", "bloodmnist"])  # the latter would have to be fetched
    run = SimpleNamespace(notebook=notebook, parameters=given, inputs=inspect_inputs(notebook, given))
    said = []
    found = audited(run, tmp_path / "store", said.append)
    assert list(found) == ["mine", "other", "third"]
    assert set(run.inputs) - set(found) == {"resnet18.medical.safetensors"}
    assert found["third"]["word"] == "not auditable"
    assert (
        found["third"]["why"]
        == "the archive has no groups, so that nobody knows which images are of one patient"
    )
    assert said == [f"{name}: looking for leaks, once" for name in ("mine", "other", "third")]
    assert audited(run, tmp_path / "store", pytest.fail) == found
