from hypothesis import example, given
from hypothesis import strategies as st

from medtl_core.runner.labels import distinct_labels, run_label

DEFAULTS = {"dataset": "phantoms", "domain": "", "seeds": 3}
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=120)


def label(dataset, domain=""):
    return run_label("01_a", {"dataset": dataset, "domain": domain}, DEFAULTS)


def test_labels_that_people_read():
    assert label("phantoms") == "01_a"
    assert label("chest-xray_64") == "01_a@chest-xray_64"
    assert label("chest_xray_64", "nih") == "01_a@chest_xray_64@nih"
    assert label("phantoms", "nih") == "01_a@phantoms@nih"
    assert run_label("01_a", {"domain": ""}, {"domain": "nih"}) == "01_a@@"
    assert label("脳") == "01_a@%E8%84%B3"
    assert run_label("01_a", {"seeds": 5}, {"seeds": 3}) == "01_a"


@given(names, names, names, names)
@example("胸部", "", "脳", "")
@example("a b", "", "a_b", "")
@example("a", "b", "a-b", "")
@example("a@b", "", "a", "b")
@example("phantoms", "", "", "")
@example("x" * 100, "", "x" * 101, "")
def test_labels_are_one_to_one_and_names_of_files(dataset, domain, other, its_domain):
    first, second = label(dataset, domain), label(other, its_domain)
    assert (first == second) == ((dataset, domain) == (other, its_domain))
    assert not set(first) & set('/\\\0 :*?"<>|\n')
    assert first.isascii()
    assert len(first) < 200


def test_runs_that_differ_in_other_parameters_have_hashes_that_follow_from_these():
    runs = [{"seeds": 1}, {"seeds": 2}, {"seeds": 1, "dataset": "b"}]
    plain = ["01_a", "01_a", "01_a@b"]
    found = distinct_labels(plain, runs)
    assert [name.partition("+")[0] for name in found] == plain
    assert found[2] == "01_a@b"
    assert len(set(found)) == 3
    assert distinct_labels(plain[::-1], runs[::-1]) == found[::-1]
    assert distinct_labels(["01_a"], runs[:1]) == ["01_a"]
