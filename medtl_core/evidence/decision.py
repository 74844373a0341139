"""From one estimate to one verdict: whether a rule holds in a data set and stratum."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from medtl_core.evaluation.statistics import Interval
from medtl_core.evidence.register import Rule
from medtl_core.evidence.rules import Estimate

Verdict = Literal[
    "supported",
    "supported with conditions",
    "not supported",
    "contradicted",
    "inconclusive",
    "literature only",
    "not testable here",
    "pending",
]
LEVEL = 0.05
ROUND_OFF = 1e-12


@dataclass(frozen=True)
class StratumVerdict:
    """An estimate with its verdict, the reason, and the p value adjusted in its family (None: untested)."""

    estimate: Estimate
    verdict: Verdict
    reason: str
    p_adjusted: float | None


def decide(rule: Rule, estimate: Estimate, p_for: float | None, p_against: float | None) -> StratumVerdict:
    """Judge one estimate, given the adjusted p values of what the rule says and of its opposite."""
    if rule.kind == "deterministic":
        verdict, reason = _deterministic(rule, estimate)
    elif estimate.seeds < rule.min_seeds:
        seeds = "1 paired seed" if estimate.seeds == 1 else f"{estimate.seeds} paired seeds"
        verdict, reason = "inconclusive", f"{seeds}, at least {rule.min_seeds} needed"
    elif rule.kind == "heterogeneity" and estimate.interval is not None:
        verdict, reason = "inconclusive", f"{describe(estimate.interval)}; compared with other data sets"
    elif estimate.interval is None or p_for is None or p_against is None:
        verdict, reason = "inconclusive", "no interval"
    elif rule.kind == "equivalence":
        verdict, reason = _equivalence(rule, estimate.interval, estimate.detectable or 0.0, p_for, p_against)
    elif rule.kind == "non_inferiority":
        verdict, reason = _non_inferiority(
            rule, estimate.interval, estimate.detectable or 0.0, p_for, p_against
        )
    else:
        verdict, reason = _superiority(rule, estimate.interval, estimate.detectable or 0.0, p_for)
    return StratumVerdict(estimate, verdict, "; ".join([reason, *_remarks(estimate)]), p_for)


def _superiority(rule: Rule, interval: Interval, detectable: float, p_adjusted: float) -> tuple[Verdict, str]:
    effect, low, high = _in_stated_direction(rule, interval)
    margin, found = rule.margin or 0.0, describe(interval)
    corrected = f"adjusted p = {p_adjusted:.2g}"
    if low > 0 and effect >= margin - ROUND_OFF:
        if p_adjusted <= LEVEL:
            return "supported", f"{found}, {corrected}"
        return _not_after_correction(found, p_adjusted)
    if high < 0 and -effect >= margin - ROUND_OFF and p_adjusted <= LEVEL:
        return "contradicted", f"{found}: the other way round, {corrected}"
    if high < margin:
        return "not supported", f"{found}: smaller than the smallest effect of interest, {margin:g}"
    if low <= 0 and margin and detectable <= margin:
        return "not supported", f"{found}: an effect of {margin:g} would have been found"
    return "inconclusive", f"{found}; an effect of {detectable:.2g} could have been detected"


def _equivalence(
    rule: Rule, interval: Interval, detectable: float, p_for: float, p_against: float
) -> tuple[Verdict, str]:
    margin, found = rule.margin or 0.0, describe(interval)
    if p_for <= LEVEL:
        return "supported", f"{found}: inside ±{margin:g}, adjusted p = {p_for:.2g}"
    if (interval.low > margin or interval.high < -margin) and p_against <= LEVEL:
        return "contradicted", f"{found}: outside ±{margin:g}, adjusted p = {p_against:.2g}"
    if -margin < interval.low and interval.high < margin:
        return _not_after_correction(found, p_for)
    return _not_shown(found, f"equal within ±{margin:g}", margin, detectable)


def _non_inferiority(
    rule: Rule, interval: Interval, detectable: float, p_for: float, p_against: float
) -> tuple[Verdict, str]:
    margin, found = rule.margin or 0.0, describe(interval)
    if p_for <= LEVEL:
        return "supported", f"{found}: not worse by {margin:g}, adjusted p = {p_for:.2g}"
    if _in_stated_direction(rule, interval)[2] < -margin and p_against <= LEVEL:
        return "contradicted", f"{found}: worse by more than {margin:g}, adjusted p = {p_against:.2g}"
    if _in_stated_direction(rule, interval)[1] > -margin:
        return _not_after_correction(found, p_for)
    return _not_shown(found, f"not worse by {margin:g}", margin, detectable)


def _not_after_correction(found: str, p_adjusted: float) -> tuple[Verdict, str]:
    return "inconclusive", f"{found}, not after Holm's correction (adjusted p = {p_adjusted:.2g})"


def _not_shown(found: str, claim: str, margin: float, detectable: float) -> tuple[Verdict, str]:
    if detectable <= margin:
        return "not supported", f"{found}: not shown to be {claim}, although these seeds could have"
    return (
        "inconclusive",
        f"{found}; an effect of {detectable:.2g} could have been detected, too coarse for {margin:g}",
    )


def _deterministic(rule: Rule, estimate: Estimate) -> tuple[Verdict, str]:
    assert rule.tolerance is not None
    if estimate.met is None or estimate.extremes is None:
        return "inconclusive", "no value to check"
    wanted = f"{rule.tolerance.op} {rule.tolerance.value:g}"
    count = "the value" if estimate.seeds == 1 else f"the worst of {estimate.seeds} values"
    met = "meets" if estimate.met else "breaks"
    return (
        "supported" if estimate.met else "contradicted",
        f"{count}, {estimate.extremes[0]:.3g}, {met} {wanted}",
    )


def _in_stated_direction(rule: Rule, interval: Interval) -> tuple[float, float, float]:
    """Estimate and interval with the sign turned so that positive is what the rule says."""
    if rule.direction == "higher":
        return interval.estimate, interval.low, interval.high
    return -interval.estimate, -interval.high, -interval.low


def _remarks(estimate: Estimate) -> list[str]:
    excluded = [f"{estimate.excluded} seeds excluded, unpaired or incomplete"] if estimate.excluded else []
    return excluded + ([estimate.note] if estimate.note else [])


def describe(interval: Interval) -> str:
    """An interval in words: estimate, 95 % limits, seeds."""
    return f"{interval.estimate:+.3g} [{interval.low:+.3g}, {interval.high:+.3g}] over {interval.n} seeds"


def explain_inconclusive(judged: Sequence[StratumVerdict]) -> str:
    """What several inconclusive estimates have in common: too few seeds, or the effect they could detect."""
    left = [j for j in judged if j.verdict == "inconclusive"]
    few = sorted({j.reason for j in left if j.p_adjusted is None})
    sizes = [j.estimate.detectable for j in left if j.p_adjusted is not None and j.estimate.detectable]
    effects = [f"an effect of {max(sizes):.2g} could have been detected"] if sizes else []
    return f" ({'; '.join([*few, *effects])})" if few or effects else ""


def stratum_name(stratum: dict[str, Any]) -> str:
    """Levels of a stratum in words: `n = 64`; empty without strata."""
    return ", ".join(f"{name} = {level_name(level)}" for name, level in stratum.items())


def level_name(level: Any) -> str:
    """A level of a factor as it was given: 64, not 64.0, which a table with gaps makes of it."""
    return f"{level:g}" if isinstance(level, float) else str(level)
