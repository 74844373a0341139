import copy

import pytest
import yaml

from medtl_core.errors import MedtlError
from medtl_core.evidence.register import load_register

HEAD = {
    "title": "A small survey",
    "ids": [{"pattern": r"C\d{3}", "name": "statements"}],
    "sections": {"1": {"name": "first"}, "2": {"name": "second"}},
    "populations": {
        "medical_images": {"name": "medical images"},
        "method": {"name": "a method", "synthetic_is_evidence": True},
    },
    "references": 30,
}
RULE = {
    "reading": "weak",
    "hypothesis": "Fine-tuning beats scratch",
    "kind": "superiority",
    "study": "learning_curve",
    "metric": "auroc",
    "treatment": "full",
    "control": "scratch",
    "where": {"n": {"max": 256}, "mark": ["none", "cross"]},
    "by": ["n"],
    "margin": 0.005,
    "direction": "higher",
    "min_seeds": 5,
    "combine": "all",
}
ENTRY = {
    "id": "C006",
    "section": "1",
    "statement": "Pretrained networks need fewer images.",
    "locator": "Transfer learning emerges as",
    "references": [5],
    "kind": "empirical",
    "handling": "test",
    "notebook": "02_fine_tuning",
    "rules": [RULE],
}


def load(tmp_path, *entries, head=None):
    path = tmp_path / "claims.yaml"
    path.write_text(yaml.safe_dump({"head": head or HEAD, "entries": list(entries)}))
    return load_register(path)


def changed(**fields):
    entry = copy.deepcopy(ENTRY)
    rule_fields = {k.removeprefix("rule_"): v for k, v in fields.items() if k.startswith("rule_")}
    entry["rules"][0].update(rule_fields)
    entry["rules"][0] = {k: v for k, v in entry["rules"][0].items() if v != "absent"}
    return entry | {k: v for k, v in fields.items() if not k.startswith("rule_")}


def test_an_entry_is_read_with_its_defaults(tmp_path):
    claim = load(tmp_path, ENTRY).entries[0]
    assert (claim.population, claim.correction, claim.not_testable) == (None, None, None)
    assert claim.rules[0].where["n"].max == 256
    assert claim.rules[0].where["mark"] == ["none", "cross"]
    assert load(tmp_path, ENTRY).of("02_fine_tuning") == [claim]
    assert load(tmp_path, ENTRY).of("01_cnn_basics") == []


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"kind": "fact"}, ["C006", "kind", "fact"]),
        ({"more": 1}, ["C006", "more"]),
        ({"rule_metrik": "auroc"}, ["C006", "rules.0.metrik"]),
        ({"rule_margin": -1}, ["C006", "rules.0.margin"]),
        ({"rule_margin": "absent"}, ["C006", "rules.0", "margin"]),
        ({"rule_control": "absent"}, ["C006", "rules.0", "control"]),
        ({"rule_kind": "deterministic"}, ["C006", "tolerance"]),
        ({"rule_kind": "interaction"}, ["C006", "trend"]),
        ({"rule_kind": "equivalence", "rule_margin": 0}, ["C006", "margin"]),
        ({"rule_min_seeds": 3}, ["C006", "min_seeds is 3", "at least 5"]),
        ({"rule_where": {"n": {}}}, ["C006", "rules.0.where.n"]),
        ({"handling": "literature"}, ["C006", "rules are given"]),
        ({"handling": "correction"}, ["C006", "correction"]),
        ({"not_testable": "no data"}, ["C006", "rules are given"]),
        ({"notebook": None}, ["C006", "notebook"]),
        ({"id": "X1"}, ["id", "X1", "ids"]),
        ({"section": "9"}, ["C006", "section '9'", "1, 2"]),
        ({"population": "mice"}, ["C006", "'mice'", "medical_images, method"]),
        ({"rule_population": "mice"}, ["C006", "'mice'", "medical_images, method"]),
        ({"references": [31]}, ["C006", "reference 31", "1 to 30"]),
        ({"strong_word": "always"}, ["C006", "'always'", "a weak and a strong reading"]),
        ({"rule_kind": "best"}, ["C006", "rules.0", "'best'", "superiority, at_least"]),
    ],
)
def test_an_error_is_one_line_with_id_and_field(tmp_path, fields, named):
    with pytest.raises(MedtlError) as error:
        load(tmp_path, changed(**fields))
    assert "\n" not in str(error.value)
    for part in named:
        assert part in str(error.value)


def test_an_id_stands_once(tmp_path):
    with pytest.raises(MedtlError, match="C006 stands 2 times"):
        load(tmp_path, ENTRY, ENTRY)


def test_main_readings_do_not_stand_beside_others(tmp_path):
    entry = copy.deepcopy(ENTRY)
    entry["rules"].append(RULE | {"reading": "main", "margin": 0.1})
    with pytest.raises(MedtlError, match="C006: the rules mix main"):
        load(tmp_path, entry)


@pytest.mark.parametrize(
    ("head", "named"),
    [
        ({"title": ""}, ["head.title"]),
        ({"ids": [{"pattern": "C(", "name": "all"}]}, ["head.ids.0.pattern", "not a regular expression"]),
        ({"ids": [{"pattern": r"C\d{3}", "name": "all", "count": 2}]}, ["1 entries with ids", "expected 2"]),
        ({"sections": {"1": {"name": "first", "count": 3}}}, ["1 entries in section 1", "expected 3"]),
        ({"more": 1}, ["head.more"]),
    ],
)
def test_the_head_is_held_against_the_entries(tmp_path, head, named):
    with pytest.raises(MedtlError) as error:
        load(tmp_path, ENTRY, head=HEAD | head)
    assert "\n" not in str(error.value)
    for part in named:
        assert part in str(error.value)


def test_counts_of_ids_and_sections_agree(tmp_path):
    head = HEAD | {
        "ids": [{"pattern": r"C\d{3}", "name": "all", "count": 2}],
        "sections": {"1": {"name": "first", "count": 1}},
    }
    with pytest.raises(MedtlError, match="different sums"):
        load(tmp_path, ENTRY, head=head)


@pytest.mark.parametrize(
    "text",
    ["- id: C001\n  id: C002\n", "- [", "{}", "", "- 3\n", "\x00", "head: 3\nentries: 4\n", "entries: []"],
)
def test_a_file_that_is_no_register_is_one_line(tmp_path, text):
    path = tmp_path / "claims.yaml"
    path.write_text(text)
    with pytest.raises(MedtlError) as error:
        load_register(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_register_is_one_line(tmp_path):
    with pytest.raises(MedtlError, match="cannot be read"):
        load_register(tmp_path / "none.yaml")


def test_the_version_follows_what_decides_and_not_the_wording(rule):
    version = rule().version
    assert rule(hypothesis="in other words").version == version
    for change in (
        {"margin": 0.01},
        {"min_seeds": 10},
        {"by": ["n"]},
        {"where": {"n": 64}},
        {"direction": "lower"},
    ):
        assert rule(**change).version != version
