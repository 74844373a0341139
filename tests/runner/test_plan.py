import json

import pytest
from mini_project import DEFAULTS, write_notebook

from medtl_core.errors import MedtlError
from medtl_core.runner.notebooks import read_notebook
from medtl_core.runner.plan import InputCatalogue, plan_runs, run_key
from medtl_core.runner.profiles import Profile

DOMAIN = DEFAULTS + 'domain: str = ""  # only this domain; a domain\n'


def profile(**notebooks):
    content = {
        "name": "p",
        "description": "d",
        "budget": {"minutes": 1, "memory_gib": 2},
        "notebooks": notebooks,
    }
    return Profile.model_validate(content)


def inspect(notebook, values):
    if values["dataset"] == "absent":
        raise MedtlError("data set 'absent': not at hand")
    return {values["dataset"]: "checksum"}


def plan(notebooks, profile, given=None, said=None, at_hand=("phantoms", "a", "b", "absent")):
    log = said.append if said is not None else pytest.fail
    return plan_runs(notebooks, profile, given or {}, InputCatalogue(inspect, lambda: list(at_hand)), {}, log)


@pytest.fixture
def notebook(tmp_path):
    return read_notebook(write_notebook(tmp_path / "02_x.ipynb", "1 + 1", parameters=DOMAIN))


def test_a_notebook_that_the_profile_does_not_list_runs_with_its_defaults(notebook):
    (run,) = plan([notebook], profile())
    assert (run.label, run.parameters) == ("02_x", {"dataset": "phantoms", "seeds": 3, "domain": ""})
    assert run.budget.minutes == 1


def test_runs_of_a_profile_are_told_apart_by_data_set_and_domain(notebook):
    runs = [{"dataset": "a", "domain": "x"}, {"dataset": "a", "domain": "y"}, {"dataset": "b"}, {}]
    found = plan([notebook], profile(**{"02_x": {"parameters": {"seeds": 5}, "runs": runs}}))
    assert [run.label for run in found] == ["02_x@a@x", "02_x@a@y", "02_x@b", "02_x"]
    assert {run.parameters["seeds"] for run in found} == {5}
    assert found[0].parameters == {"dataset": "a", "domain": "x", "seeds": 5}


def test_runs_that_share_data_set_and_domain_have_labels_of_their_own(notebook):
    found = plan([notebook], profile(**{"02_x": {"runs": [{"seeds": 1}, {"seeds": 2}]}}))
    assert [run.label.partition("+")[0] for run in found] == ["02_x", "02_x"]
    assert len({run.label for run in found}) == 2


def test_a_given_data_set_takes_the_place_of_the_profiles(notebook):
    runs = [{"dataset": "a", "domain": "x"}, {"dataset": "b"}]
    (run,) = plan(
        [notebook], profile(**{"02_x": {"parameters": {"seeds": 5}, "runs": runs}}), {"dataset": "mine"}
    )
    assert (run.label, run.parameters) == ("02_x@mine", {"dataset": "mine", "seeds": 5, "domain": ""})


def test_other_given_parameters_apply_to_each_run_and_win(notebook):
    plans = profile(**{"02_x": {"runs": [{"dataset": "a"}, {"dataset": "b", "seeds": 7}]}})
    assert [r.parameters["seeds"] for r in plan([notebook], plans, {"seeds": "2"})] == [2, 2]


def test_a_given_parameter_applies_where_it_is_declared(notebook, tmp_path):
    other = read_notebook(write_notebook(tmp_path / "01_y.ipynb", "1"))
    found = plan([other, notebook], profile(), {"domain": "x"})
    assert ["domain" in run.parameters for run in found] == [False, True]
    with pytest.raises(
        MedtlError, match="-p epochs: unknown parameter of 01_y, 02_x; declared there: dataset, domain, seeds"
    ):
        plan([other, notebook], profile(), {"epochs": "1"})


def test_every_data_set_at_hand_that_no_other_run_names(notebook):
    said = []
    runs = [{"dataset": "a", "domain": "x"}, {"dataset": "*"}]
    found = plan([notebook], profile(**{"02_x": {"runs": runs}}), said=said)
    assert [run.label for run in found] == ["02_x@a@x", "02_x", "02_x@b"]
    assert said == ["02_x@absent: left out, data set 'absent': not at hand"]


def test_an_absent_data_set_is_refused_unless_the_profile_says_optional(notebook):
    runs = [{"dataset": "absent"}, {"dataset": "a"}]
    with pytest.raises(MedtlError, match="not at hand"):
        plan([notebook], profile(**{"02_x": {"runs": runs}}))
    said = []
    assert [
        r.label for r in plan([notebook], profile(**{"02_x": {"runs": runs, "optional": True}}), said=said)
    ] == ["02_x@a"]
    assert len(said) == 1
    with pytest.raises(MedtlError, match="nothing can be run"):
        plan([notebook], profile(**{"02_x": {"runs": runs[:1], "optional": True}}), said=[])


def test_bad_values_in_a_profile_are_refused(notebook):
    with pytest.raises(MedtlError, match="profile p: parameter seeds of 02_x is 99"):
        plan([notebook], profile(**{"02_x": {"parameters": {"seeds": 99}}}))
    with pytest.raises(MedtlError, match="profile p: unknown parameter 'epochs' of 02_x"):
        plan([notebook], profile(**{"02_x": {"runs": [{"epochs": 9}]}}))


def test_the_key_changes_with_all_that_decides_a_run(notebook, tmp_path):
    base = (notebook, {"seeds": 3}, {"a": "1"}, {"torch": "2"})
    key = run_key(*base)
    assert run_key(*base) == key
    edited = read_notebook(write_notebook(tmp_path / "e" / "02_x.ipynb", "1 + 2", parameters=DOMAIN))
    assert run_key(edited, *base[1:]) != key
    assert run_key(notebook, {"seeds": 4}, *base[2:]) != key
    assert run_key(*base[:2], {"a": "2"}, base[3]) != key
    assert run_key(*base[:3], {"torch": "3"}) != key


def test_the_key_does_not_change_with_outputs(notebook):
    path = notebook.path
    text = path.read_text().replace(
        '"outputs": []', '"outputs": [{"output_type": "stream", "name": "stdout", "text": "2"}]'
    )
    assert text != path.read_text()
    key = run_key(notebook, {}, {}, {})
    path.write_text(text)
    assert run_key(read_notebook(path), {}, {}, {}) == key


def test_the_key_changes_with_the_package(notebook, monkeypatch):
    key = run_key(notebook, {}, {}, {})
    monkeypatch.setattr("medtl_core.runner.plan.package_hash", lambda rooms: f"other {len(rooms)}")
    assert run_key(notebook, {}, {}, {}) != key


def test_rooms_that_only_start_runs_are_not_in_the_key(notebook, monkeypatch):
    seen = []
    monkeypatch.setattr("medtl_core.runner.plan.package_hash", lambda rooms: seen.extend(rooms) or "")
    run_key(notebook, {}, {}, {})
    assert {"errors", "evidence", "data"} <= set(seen)
    assert not [room for room in seen if room == "runner" or room.startswith("cli")]


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"cells": [{"cell_type": "code"}]}', '{"cells": []}'])
def test_files_that_are_no_notebooks_are_refused(tmp_path, content):
    path = tmp_path / "01_a.ipynb"
    path.write_text(content)
    with pytest.raises(MedtlError, match=r"01_a\.ipynb: "):
        read_notebook(path)


def test_an_executed_copy_is_no_source(tmp_path):
    path = write_notebook(tmp_path / "02_x.ipynb", "seeds = 5")
    content = json.loads(path.read_text())
    content["cells"][2]["metadata"]["tags"] = ["injected-parameters"]
    path.write_text(json.dumps(content))
    with pytest.raises(MedtlError, match=r"executed copy .* make notebooks ARGS=02_x"):
        read_notebook(path)
