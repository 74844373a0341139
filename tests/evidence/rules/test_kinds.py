"""The table of kinds: what a rule must hold, who may look at a kind, and a kind that is not there yet."""

import ast
from pathlib import Path

import pytest

import medtl_core
from medtl_core.errors import MedtlError
from medtl_core.evidence.ledger import build_ledger
from medtl_core.evidence.record_store import RecordStore
from medtl_core.evidence.register import load_register
from medtl_core.evidence.rules import kinds
from medtl_core.evidence.rules.kinds import KINDS, checked, kind_of
from medtl_core.evidence.rules.superiority import Superiority
from medtl_core.evidence.words import PValues
from medtl_core.reporting.forest import forest
from medtl_core.reporting.html import report_html

PACKAGE = Path(medtl_core.__file__).parent
ROOM = PACKAGE / "evidence" / "rules"
FIELDS = {
    "margin": 0.01,
    "control": "scratch",
    "trend": {"factor": "n"},
    "tolerance": {"op": "<=", "value": 1.0},
}


def made(rule, kind):
    """A rule that has what its kind needs."""
    given = {name: FIELDS[name] for name in KINDS[kind].needs if name in FIELDS}
    return rule(kind=kind, **given)


def test_each_file_of_the_room_is_one_kind_in_the_table():
    files = {path.stem for path in ROOM.glob("*.py")} - {"__init__", "kind", "kinds", "estimate", "one_sided"}
    assert files == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_asks_for_its_fields_and_refuses_those_it_does_not_use(rule, kind):
    whole = made(rule, kind)
    assert checked(whole) is whole
    for name in KINDS[kind].needs:
        with pytest.raises(ValueError, match=f"needs `{name}`"):
            checked(whole.model_copy(update={name: None}))
    for name in KINDS[kind].refuses:
        with pytest.raises(ValueError, match=f"does not use `{name}`"):
            rule(**whole.model_dump() | {name: FIELDS[name]})
    with pytest.raises(ValueError, match="expected one of: superiority"):
        checked(whole.model_copy(update={"kind": "best"}))


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_says_what_it_claims_and_what_its_axis_shows(rule, kind):
    whole = made(rule, kind)
    for words in (kind_of(whole).claim_in_words(whole), kind_of(whole).axis_in_words(whole)):
        assert whole.metric in words
        assert whole.treatment in words


def test_a_rule_of_no_kind_is_one_line(rule):
    with pytest.raises(MedtlError, match="rule of kind 'best', expected one of"):
        kind_of(rule().model_copy(update={"kind": "best"}))


def test_nothing_outside_the_room_names_a_kind():
    statistics = PACKAGE / "evaluation" / "statistics" / "__init__.py"  # functions of the same names
    for path in PACKAGE.rglob("*.py"):
        if ROOM in path.parents or path == statistics:
            continue
        constants = {n.value for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Constant)}
        assert not constants & set(KINDS), path
    for path in PACKAGE.rglob("*.j2"):
        assert not any(f'"{name}"' in path.read_text() for name in KINDS), path


class FarAbove(Superiority):
    """A made-up kind: the effect reaches the margin at the lower end of its interval."""

    name = "far_above"

    def p_values(self, rule, interval):
        return PValues(0.001 if interval.low >= rule.margin else 1.0, 1.0, 1.0)

    def claim_in_words(self, rule):
        return f"{rule.metric} of {rule.treatment} is far above that of {rule.control}"

    def plot_band(self, rule):
        return -1.0, rule.margin


REGISTER = r"""
head:
  title: A small survey
  ids: [{pattern: 'C\d{3}', name: statements}]
  sections: {"1": {name: first}}
  populations: {patients: {name: patients}}
entries:
- id: C001
  section: "1"
  statement: Fine-tuning is far better.
  kind: empirical
  handling: test
  notebook: 02_fine_tuning
  rules:
  - {reading: main, hypothesis: It is far above, kind: far_above, study: learning_curve, metric: auroc,
     treatment: full, control: scratch, margin: 0.05}
"""


def test_a_new_kind_is_a_class_and_a_line_of_the_table(tmp_path, monkeypatch, pairs, exactly):
    path = tmp_path / "claims.yaml"
    path.write_text(REGISTER)
    with pytest.raises(MedtlError, match=r"C001, field rules\.0: kind is 'far_above'"):
        load_register(path)
    monkeypatch.setitem(kinds.KINDS, "far_above", FarAbove())
    store = RecordStore(tmp_path / "run")
    for record in pairs(exactly(0.1, 0.01)):
        store.add([record])
    ledger = build_ledger(load_register(path), store)
    row = ledger.rows()[0]
    assert (row["verdict"], row["rule"]) == ("supported", "far_above")
    assert row["rules"][0]["datasets"]["breastmnist"]["reason"].endswith("adjusted p = 0.001")
    assert row["rule_in_words"].startswith("far-above: auroc of full is far above that of scratch")
    panel = forest(row["rules"]).axes[0]
    assert panel.patches[0].get_extents().transformed(panel.transData.inverted()).x0 == pytest.approx(-1.0)
    assert "<svg" in report_html(store.root, ledger)


@pytest.mark.parametrize(
    ("kind", "direction", "band"),
    [
        ("superiority", "higher", (0.0, 0.01)),
        ("superiority", "lower", (-0.01, 0.0)),
        ("existence", "lower", (-0.01, 0.0)),
        ("at_least", "higher", (0.0, 0.01)),
        ("trend", "higher", (0.0, 0.01)),
        ("equivalence", "lower", (-0.01, 0.01)),
        ("non_inferiority", "higher", (-0.01, 0.0)),
        ("non_inferiority", "lower", (0.0, 0.01)),
        ("deterministic", "higher", None),
        ("heterogeneity", "higher", None),
    ],
)
def test_the_band_is_what_is_too_small_to_matter(rule, kind, direction, band):
    asked = made(rule, kind).model_copy(update={"direction": direction})
    if band is not None:
        asked = asked.model_copy(update={"margin": 0.01})
    assert kind_of(asked).plot_band(asked) == band


def test_a_size_of_a_slope_is_no_difference_between_arms(rule):
    assert kind_of(rule()).smallest_difference(rule()) == 0.005
    along = rule(kind="interaction", trend={"factor": "n"})
    assert kind_of(along).smallest_difference(along) is None


def test_judging_asks_the_kind_alone(judge, rule, pairs, exactly, frame, monkeypatch):
    records = frame(pairs(exactly(0.1, 0.01)))
    assert judge(rule(), records).verdict == "supported"
    monkeypatch.setattr(Superiority, "p_values", lambda *_: PValues(1.0, 0.002, 1.0))
    assert judge(rule(), records).verdict == "contradicted"
