import copy

import pytest
import yaml

from medtl_core.errors import MedtlError
from medtl_core.evidence.register import load_register

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


def load(tmp_path, *entries):
    path = tmp_path / "claims.yaml"
    path.write_text(yaml.safe_dump(list(entries)))
    return load_register(path)


def changed(**fields):
    entry = copy.deepcopy(ENTRY)
    rule_fields = {k.removeprefix("rule_"): v for k, v in fields.items() if k.startswith("rule_")}
    entry["rules"][0].update(rule_fields)
    entry["rules"][0] = {k: v for k, v in entry["rules"][0].items() if v != "absent"}
    return entry | {k: v for k, v in fields.items() if not k.startswith("rule_")}


def test_an_entry_is_read_with_its_defaults(tmp_path):
    claim = load(tmp_path, ENTRY).entries[0]
    assert (claim.about, claim.correction, claim.not_testable) == ("medical_images", None, None)
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
        ({"id": "X1"}, ["id", "X1"]),
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


@pytest.mark.parametrize("text", ["- id: C001\n  id: C002\n", "- [", "{}", "", "- 3\n", "\x00"])
def test_a_file_that_is_no_register_is_one_line(tmp_path, text):
    path = tmp_path / "claims.yaml"
    path.write_text(text)
    with pytest.raises(MedtlError) as error:
        load_register(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_register_is_one_line(tmp_path):
    with pytest.raises(MedtlError, match="no register"):
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
