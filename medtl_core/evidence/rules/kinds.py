"""The table of the kinds of rule."""

from medtl_core.errors import MedtlError
from medtl_core.evidence.rule import Rule
from medtl_core.evidence.rules import (
    at_least,
    deterministic,
    equivalence,
    existence,
    heterogeneity,
    interaction,
    non_inferiority,
    superiority,
    trend,
)
from medtl_core.evidence.rules.kind import RuleKind

KINDS: dict[str, RuleKind] = {
    module.KIND.name: module.KIND
    for module in (
        superiority,
        at_least,
        equivalence,
        non_inferiority,
        trend,
        interaction,
        deterministic,
        existence,
        heterogeneity,
    )
}


def kind_of(rule: Rule) -> RuleKind:
    """The kind of a rule; MedtlError for one that is not in the table."""
    if rule.kind not in KINDS:
        raise MedtlError(f"rule of kind {rule.kind!r}, expected one of: {', '.join(KINDS)}")
    return KINDS[rule.kind]


def checked(rule: Rule) -> Rule:
    """The rule, if it has what its kind needs and nothing that it does not use; otherwise ValueError."""
    if rule.kind not in KINDS:
        raise ValueError(f"kind is {rule.kind!r}, expected one of: {', '.join(KINDS)}")
    KINDS[rule.kind].check(rule)
    return rule
