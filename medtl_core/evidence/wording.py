"""Rules in plain words, for tables and the report."""

from typing import Any

from medtl_core.evidence.rule import Rule, Span
from medtl_core.evidence.rules.kinds import kind_of


def rule_in_words(rule: Rule) -> str:
    """A rule as one sentence: what is compared, along or for each of what, and how it is combined."""
    claim = kind_of(rule).claim_in_words(rule)
    pooled = "; configurations pooled" if rule.configurations == "pooled" else ""
    return (
        f"{rule.kind.replace('_', '-')}: {claim}{_strata(rule)} (study {rule.study}{_filters(rule)}{pooled}; "
        f"data sets: {rule.combine})"
    )


def effect_in_words(rule: Rule) -> str:
    """The axis of a forest plot: the effect with its metric, and which way the statement points."""
    return kind_of(rule).axis_in_words(rule)


def _strata(rule: Rule) -> str:
    return f", for each {' and '.join(rule.by)}" if rule.by else ""


def _filters(rule: Rule) -> str:
    return "".join(f"; {name} {_wanted(wanted)}" for name, wanted in rule.where.items())


def _wanted(wanted: Any) -> str:
    if isinstance(wanted, Span):
        ends = [("at least", wanted.min), ("at most", wanted.max)]
        return " and ".join(f"{word} {end:g}" for word, end in ends if end is not None)
    return "is " + " or ".join(str(w) for w in (wanted if isinstance(wanted, list) else [wanted]))
