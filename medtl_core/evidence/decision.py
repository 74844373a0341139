"""From one estimate to one verdict: whether a rule holds in a data set and stratum."""

from collections.abc import Sequence
from dataclasses import dataclass

from medtl_core.evidence.combine import Verdict
from medtl_core.evidence.rule import Rule
from medtl_core.evidence.rules.estimate import Estimate
from medtl_core.evidence.rules.kinds import kind_of


@dataclass(frozen=True)
class StratumVerdict:
    """An estimate with its verdict, the reason, and the p value adjusted in its family (None: untested)."""

    estimate: Estimate
    verdict: Verdict
    reason: str
    p_adjusted: float | None


def decide(rule: Rule, estimate: Estimate, p_for: float | None, p_against: float | None) -> StratumVerdict:
    """Judge one estimate, given the adjusted p values of the rule's hypothesis and of its opposite."""
    verdict, reason = kind_of(rule).decide(rule, estimate, p_for, p_against)
    return StratumVerdict(estimate, verdict, "; ".join([reason, *_remarks(estimate)]), p_for)


def _remarks(estimate: Estimate) -> list[str]:
    excluded = [f"{estimate.excluded} seeds excluded, unpaired or incomplete"] if estimate.excluded else []
    return excluded + ([estimate.note] if estimate.note else [])


def explain_inconclusive(judged: Sequence[StratumVerdict]) -> str:
    """What several inconclusive estimates have in common: too few seeds, or the effect they could detect."""
    left = [j for j in judged if j.verdict == "inconclusive"]
    few = sorted({j.reason for j in left if j.p_adjusted is None})
    sizes = [j.estimate.detectable for j in left if j.p_adjusted is not None and j.estimate.detectable]
    effects = [f"an effect of {max(sizes):.2g} could have been detected"] if sizes else []
    return f" ({'; '.join([*few, *effects])})" if few or effects else ""
