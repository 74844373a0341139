"""The smallest effect of interest, as the register states it."""

from collections.abc import Sequence

from medtl_core.errors import MedtlError
from medtl_core.evidence.register import Register, load_register
from medtl_core.evidence.rule import Rule
from medtl_core.evidence.rules.kinds import kind_of


def smallest_effect(
    claim: str,
    metric: str,
    pairs: Sequence[tuple[str, str]],
    *,
    reading: str | None = None,
    register: Register | None = None,
) -> float:
    """The smallest effect of interest (or the margin of equivalence) for a claim, in the unit of the metric.

    It is that of the claim's rules on this metric (of one `reading`: weak, strong, main); where these state
    several, that of the rules on one of `pairs`. `register` is by default the project's. MedtlError where
    the register has no such claim, or no rule of it, or several sizes, says how large a difference has to
    be.
    """
    entries = {entry.id: entry for entry in (register or load_register()).entries}
    if claim not in entries:
        raise MedtlError(
            f"claim {claim!r}: not in the register; expected one of its ids, such as {min(entries)}"
        )
    rules = [rule for rule in entries[claim].rules if reading in (None, rule.reading)]
    found = {size for rule in rules if (size := size_in(rule, metric)) is not None}
    if len(found) > 1:
        exact = [rule for rule in rules if _compared(rule) in pairs]
        found = {size for rule in exact if (size := size_in(rule, metric)) is not None}
    if len(found) != 1:
        sizes = ", ".join(f"{size:g}" for size in sorted(found)) or "none"
        raise MedtlError(
            f"claim {claim}: its rules on {metric} give the smallest effects {sizes}, expected one; say "
            "which reading is meant (reading=), or give the rule itself (rule=)"
        )
    return found.pop()


def size_in(rule: Rule, metric: str) -> float | None:
    """The smallest difference in `metric` that a rule calls interesting; None for a rule on something
    else."""
    return kind_of(rule).smallest_difference(rule) if rule.metric == metric else None


def _compared(rule: Rule) -> tuple[str | None, str | None]:
    return rule.treatment, rule.control
