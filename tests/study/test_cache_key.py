import pytest

from medtl_core.study import cache_key
from medtl_core.study.cache_key import trial_key

ARGUMENTS = {
    "study": "curve",
    "arm": "full",
    "seed": 0,
    "factors": {"n": 64, "size": 28},
    "dataset": "phantoms",
    "data_checksum": "abc",
    "device": "cpu",
}


def test_the_key_is_stable_and_does_not_depend_on_the_order_of_factors():
    first = trial_key("source", **ARGUMENTS)
    assert trial_key("source", **{**ARGUMENTS, "factors": {"size": 28, "n": 64}}) == first
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
        ("data_checksum", "abd"),
        ("device", "cuda"),
    ],
)
def test_every_argument_counts(name, value):
    assert trial_key("source", **{**ARGUMENTS, name: value}) != trial_key("source", **ARGUMENTS)


def test_the_trials_and_the_packages_source_count(monkeypatch):
    first = trial_key("source", **ARGUMENTS)
    assert trial_key("other", **ARGUMENTS) != first
    monkeypatch.setattr(cache_key, "_PACKAGE_HASH", "another version")
    assert trial_key("source", **ARGUMENTS) != first


def test_measuring_rooms_count_and_judging_rooms_do_not():
    assert {"data", "evaluation", "backbones", "training"} <= set(cache_key.ROOMS)
    assert not {"evidence", "runner", "cli"} & {*cache_key.ROOMS, *cache_key.METHOD_ROOMS}
