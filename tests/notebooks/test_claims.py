"""Properties of every entry of the register; what the loader refuses is tested in its room."""

import re
from pathlib import Path

import pytest
import yaml

from medtl_core.evidence.register import Claim, load_register
from medtl_core.evidence.rule import Rule
from medtl_core.evidence.rules.kinds import kind_of

ROOT = Path(__file__).resolve().parents[2]
CLAIMS = ROOT / "notebooks" / "claims.yaml"
REGISTER = load_register(CLAIMS)
WRITTEN = yaml.safe_load(CLAIMS.read_text(encoding="utf-8"))["entries"]
RULES = [(claim, rule) for claim in REGISTER.entries for rule in claim.rules]


def words(text: str) -> list[str]:
    return re.findall(r"[\w'-]+", text.lower())


def each_entry(entries):
    return pytest.mark.parametrize("claim", entries, ids=[claim.id for claim in entries])


def each_rule(rules):
    return pytest.mark.parametrize(
        ("claim", "rule"), rules, ids=[f"{claim.id}-{rule.hypothesis[:30]}" for claim, rule in rules]
    )


def quoted(claim: Claim) -> bool:
    group = REGISTER.head.group(claim.id)
    assert group is not None
    return group.quoted


def test_groups_stand_together_and_in_order():
    """Entries of one group of ids follow each other, numbered without a gap from 1."""
    found: dict[str, list[int]] = {}
    for claim in REGISTER.entries:
        group = REGISTER.head.group(claim.id)
        if group.pattern not in found:
            assert not found or list(found)[-1] != group.pattern
        else:
            assert list(found)[-1] == group.pattern, claim.id
        found.setdefault(group.pattern, []).append(int(re.sub(r"\D", "", claim.id)))
    for numbers in found.values():
        assert numbers == list(range(1, len(numbers) + 1))


def test_the_loader_keeps_every_entry_as_it_is_written():
    assert len(REGISTER.entries) == len(WRITTEN)
    for claim, entry in zip(REGISTER.entries, WRITTEN, strict=True):
        assert len(claim.rules) == len(entry.get("rules", []))
        for name in set(entry) - {"rules"}:
            assert getattr(claim, name) == entry[name], f"{claim.id}: {name}"


@pytest.mark.parametrize("entry", WRITTEN, ids=[entry["id"] for entry in WRITTEN])
def test_fields_stand_in_the_order_of_the_schema(entry):
    for written, schema in ((entry, Claim), *((rule, Rule) for rule in entry.get("rules", []))):
        order = list(schema.model_fields)
        assert list(written) == sorted(written, key=order.index)


@each_entry([claim for claim in REGISTER.entries if quoted(claim)])
def test_statements_of_the_survey_have_a_short_locator(claim):
    assert 3 <= len(claim.locator.split()) <= 5


@each_entry([claim for claim in REGISTER.entries if not quoted(claim)])
def test_other_statements_have_no_locator_and_a_source_or_a_measurement(claim):
    assert claim.locator == ""
    assert claim.source or claim.rules


@each_entry(REGISTER.entries)
def test_statements_are_in_our_own_words(claim):
    statement, locator = words(claim.statement), words(claim.locator)
    assert len(statement) >= 5
    assert claim.statement.endswith(".")
    if locator:
        runs = [statement[i : i + len(locator)] for i in range(len(statement))]
        assert locator not in runs, "the survey's own words stand in the statement"
        assert statement[:3] != locator[:3], "the statement continues the survey's sentence"


def test_no_statement_and_no_locator_stands_twice():
    for field in ("statement", "locator"):
        texts = [text.lower() for claim in REGISTER.entries if (text := getattr(claim, field))]
        assert len(set(texts)) == len(texts), field


@each_entry([claim for claim in REGISTER.entries if claim.handling in ("literature", "correction")])
def test_what_is_not_measured_says_what_the_source_says_and_where_it_was_read(claim):
    assert claim.rules or re.search(
        r"\bread\b|from memory|our reading|No source is given", claim.source or "", re.IGNORECASE
    )


@each_entry([claim for claim in REGISTER.entries if claim.correction])
def test_a_correction_is_a_sentence(claim):
    assert len(words(claim.correction)) >= 5


@each_entry([claim for claim in REGISTER.entries if claim.strong_word])
def test_strong_words_are_asked_about_in_two_readings(claim):
    """The loader refuses one reading where there are rules; before there are, both are expected."""
    assert claim.rules or re.search(r"weak reading.*strong reading", claim.expected or "")


def test_notebooks_with_rules_are_there():
    known = {path.stem for folder in ("notebooks", "studies") for path in (ROOT / folder).glob("*.py")}
    assert {claim.notebook for claim, _ in RULES} <= known


@each_rule(RULES)
def test_rules_are_fixed_beforehand_in_full(claim, rule):
    assert words(rule.hypothesis) != words(claim.statement)
    assert rule.control is None or rule.control != rule.treatment
    if "margin" in kind_of(rule).needs or rule.trend is not None:
        assert rule.margin


@each_entry([claim for claim in REGISTER.entries if claim.rules])
def test_no_two_rules_of_an_entry_ask_the_same(claim):
    asked = [rule.model_dump(exclude={"hypothesis", "reading"}) for rule in claim.rules]
    assert all(rule not in asked[:i] for i, rule in enumerate(asked))
