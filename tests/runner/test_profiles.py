from pathlib import Path

import pytest

from medtl_core.errors import MedtlError
from medtl_core.runner.notebooks import choose
from medtl_core.runner.plan import InputCatalogue, plan_runs
from medtl_core.runner.profiles import profile_names, read_profile

PROJECT = Path(__file__).parents[2] / "notebooks"
GOOD = "name: x\ndescription: d\nbudget: {minutes: 1, memory_gib: 2}\n"


@pytest.mark.slow
def test_the_projects_profiles_fit_its_notebooks():
    expected = ["full", "headline", "reference", "rehearsal", "smoke", "teach"]
    assert profile_names(PROJECT / "profiles") == expected
    world = InputCatalogue(lambda notebook, values: {}, lambda: ["phantoms", "breastmnist"])
    notebooks = choose(PROJECT.parent, [])
    for name in profile_names(PROJECT / "profiles"):
        profile = read_profile(PROJECT / "profiles", name)
        runs = plan_runs(notebooks, profile, {}, world, {}, lambda line: None)
        assert {run.notebook.name for run in runs} >= set(profile.notebooks)
        assert profile.needs_gpu == (name == "full")


def test_smoke_is_the_notebooks_own_defaults():
    assert read_profile(PROJECT / "profiles", "smoke").notebooks == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (GOOD + "need_gpu: true\n", "need_gpu"),
        (GOOD.replace("minutes: 1", "minutes: 0"), "budget.minutes"),
        (GOOD.replace("description: d\n", ""), "description"),
        (GOOD.replace("name: x", "name: y"), "name is 'y', expected 'x'"),
        (GOOD + "side_by_side: 0\n", "side_by_side"),
        (GOOD + "notebooks: {n: {runs: []}}\n", "notebooks.n.runs"),
        ("- 1\n", "the file"),
        ("{", "not valid YAML"),
    ],
)
def test_a_profile_that_breaks_the_form_is_refused(tmp_path, text, found):
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(MedtlError) as caught:
        read_profile(tmp_path, "x")
    assert found in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_profile_is_refused_with_the_known_ones(tmp_path):
    (tmp_path / "x.yaml").write_text(GOOD)
    with pytest.raises(MedtlError, match=r"unknown profile 'z' in .*; there are: x"):
        read_profile(tmp_path, "z")


@pytest.mark.parametrize(
    ("device", "cores", "expected"),
    [("cpu", 8, 3), ("cpu", 2, 2), ("cpu", 1, 1), ("cpu", 0, 1), ("a GPU", 8, 1)],
)
def test_notebooks_side_by_side_have_a_core_each_and_a_gpu_to_themselves(tmp_path, device, cores, expected):
    (tmp_path / "x.yaml").write_text(GOOD + "side_by_side: 3\n")
    assert read_profile(tmp_path, "x").notebooks_at_a_time(device, cores) == expected


def test_notebooks_run_one_after_another_unless_the_profile_says_otherwise(tmp_path):
    (tmp_path / "x.yaml").write_text(GOOD)
    assert read_profile(tmp_path, "x").notebooks_at_a_time("cpu", 8) == 1
