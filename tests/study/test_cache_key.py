"""A key changes with what decides a result, and with nothing else."""

import importlib.metadata

import numpy as np
import pytest

from medtl_core.backbones import zoo
from medtl_core.evaluation.metrics import auroc
from medtl_core.inputs import noting
from medtl_core.study import cache_key
from medtl_core.study.cache_key import library_versions, reach, recipe_key, result_key

ARGUMENTS = {
    "study": "curve",
    "arm": "full",
    "seed": 0,
    "factors": {"n": 64, "size": 28},
    "dataset": "phantoms",
    "data": "abc",
    "device": "cpu",
}


def trial(arm, seed):
    return {"auroc": auroc(np.array([0, 1]), np.eye(2))}


def simple(arm, seed):
    return {"x": 1.0}


def test_the_key_is_stable_and_does_not_depend_on_the_order_of_factors():
    reached = reach(trial)
    first = recipe_key(reached, **ARGUMENTS)
    assert recipe_key(reach(trial), **{**ARGUMENTS, "factors": {"size": 28, "n": 64}}) == first
    assert len(first) == 32
    assert set(first) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("study", "other"),
        ("arm", "scratch"),
        ("seed", 1),
        ("factors", {"n": 128, "size": 28}),
        ("factors", {"n": 64}),
        ("factors", {"n": 64.0, "size": 28}),
        ("dataset", "breastmnist"),
        ("data", "abd"),
        ("device", "cuda"),
    ],
)
def test_every_argument_counts(name, value):
    reached = reach(simple)
    assert recipe_key(reached, **{**ARGUMENTS, name: value}) != recipe_key(reached, **ARGUMENTS)


def test_the_trial_and_what_it_reaches_of_the_package_count():
    assert recipe_key(reach(trial), **ARGUMENTS) != recipe_key(reach(simple), **ARGUMENTS)
    modules = reach(trial).closure.modules
    assert "medtl_core.evaluation.metrics" in modules
    assert not [name for name in modules if name.split(".")[1] in ("study", "runner", "evidence", "cli")]


def test_how_trials_are_seeded_counts(monkeypatch):
    reached = reach(simple)
    first = recipe_key(reached, **ARGUMENTS)
    monkeypatch.setattr(cache_key, "_ALWAYS", (("medtl_core.study.seeding", "device_kind"),))
    assert recipe_key(reached, **ARGUMENTS) != first


def test_versions_of_the_libraries_that_compute_count_and_others_do_not(monkeypatch):
    reached = reach(trial)
    assert {"numpy", "scikit-learn"} <= set(reached.versions)
    assert "papermill" not in reached.versions
    first = recipe_key(reached, **ARGUMENTS)
    real = importlib.metadata.version
    for name, changes in (("papermill", False), ("scikit-learn", True), ("numpy", True)):
        other = lambda asked, name=name: "99" if asked == name else real(asked)  # noqa: E731
        monkeypatch.setattr(cache_key, "_version", other)
        assert (recipe_key(reached, **ARGUMENTS) != first) == changes, name


def test_a_library_brings_what_it_computes_with():
    assert {"timm", "torch"} <= set(library_versions(["timm"]))
    assert library_versions(["no_such_module"]) == {}


def test_the_weights_that_a_trial_loads_are_in_its_key(save_weights):
    network = zoo.build("resnet18", num_classes=2, pretrained=False, seed=0).network
    state = {key: tensor for key, tensor in network.state_dict().items() if not key.startswith("fc.")}
    save_weights("resnet18.t", state)
    with noting() as inputs:
        zoo.build("resnet18.t", num_classes=2, pretrained=True)
    first = result_key("recipe", inputs)
    assert result_key("recipe", inputs) == first
    state["conv1.weight"] = state["conv1.weight"] + 1
    save_weights("resnet18.t", state)
    assert result_key("recipe", inputs) != first
