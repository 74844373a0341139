"""What one rule says on each data set and stratum, at the level that its entry was tested at."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from medtl_core.evaluation.rounding import counted
from medtl_core.evaluation.statistics import Size
from medtl_core.evidence.pairing import stratum_name
from medtl_core.evidence.reading import Measured
from medtl_core.evidence.rule import Rule
from medtl_core.evidence.rules.estimate import Estimate, describe
from medtl_core.evidence.rules.kinds import kind_of
from medtl_core.evidence.words import SIGNIFICANCE, UNTESTED, Verdict, by_word


@dataclass(frozen=True)
class StratumVerdict:
    """An estimate with its word and reason, adjusted p value (None: untested) and detectable effect.

    `needed`: seeds and test cases that would find the smallest effect of interest; of what is open alone.
    """

    estimate: Estimate
    verdict: Verdict
    reason: str
    p_adjusted: float | None
    detectable: float | None
    needed: Size | None = None


@dataclass(frozen=True)
class DatasetVerdict:
    """A rule on one data set; `overall` averages strata within each seed.

    `eligible`: it is evidence; made-up data may not be. `decides`: it is in the scope, else a replication.
    """

    name: str
    verdict: Verdict
    reason: str
    eligible: bool
    decides: bool
    overall: Estimate | None
    strata: list[StratumVerdict]


@dataclass(frozen=True)
class RuleVerdict:
    """A rule on all data sets."""

    rule: Rule
    verdict: Verdict
    reason: str
    datasets: dict[str, DatasetVerdict]


def judge_rule(measured: Measured, factor: int, overall: Mapping[str, Any] | None = None) -> RuleVerdict:
    """A rule's word over all that decides it, and at each place; p values are multiplied by `factor`."""
    rule, kind = measured.rule, kind_of(measured.rule)
    datasets = {}
    for name in dict.fromkeys(e.dataset for e in measured.estimates):
        there = [e for e in measured.estimates if e.dataset == name]
        strata = [_stratum(rule, e, factor) for e in there]
        decides = measured.eligible(there[0]) and there[0].archive in measured.archives
        if len(strata) == 1:
            word, reason = strata[0].verdict, strata[0].reason
        elif not kind.tests:
            word = "contradicted" if any(e.met is False for e in there) else "supported"
            reason = by_word({stratum_name(s.estimate.stratum): s.verdict for s in strata})
        else:
            word = kind.over_places(rule, [e.p_values or UNTESTED for e in there]).times(factor).word()
            reason = by_word({stratum_name(s.estimate.stratum): s.verdict for s in strata})
        whole = (overall or {}).get(name) or (there[0] if len(there) == 1 else None)
        datasets[name] = DatasetVerdict(
            name, word, reason, measured.eligible(there[0]), decides, whole, strata
        )
    deciding = {name: found.verdict for name, found in datasets.items() if found.decides}
    if not deciding:
        return RuleVerdict(rule, "pending", "not measured where it is decided", datasets)
    if not kind.tests:
        word = "contradicted" if measured.broken() else "supported"
        return RuleVerdict(rule, word, _reason(datasets, deciding), datasets)
    at_once = measured.at_once()
    word = measured.whole().times(factor).word()
    return RuleVerdict(rule, word, at_once[1] if at_once else _reason(datasets, deciding), datasets)


def _reason(datasets: Mapping[str, DatasetVerdict], deciding: Mapping[str, Verdict]) -> str:
    if len(deciding) == 1:
        (name,) = deciding
        return f"{name}: {datasets[name].reason}"
    return by_word(deciding)


def _stratum(rule: Rule, estimate: Estimate, factor: int) -> StratumVerdict:
    word, reason, p, detectable = _word(rule, estimate, factor)
    if estimate.excluded:
        reason += f"; {counted(estimate.excluded, 'seed')} excluded, unpaired or incomplete"
    if estimate.note:
        reason += f"; {estimate.note}"
    needed = None
    if word == "inconclusive" and detectable is not None:
        needed = kind_of(rule).needed(rule, estimate, SIGNIFICANCE / factor)
    return StratumVerdict(estimate, word, reason, p, detectable, needed)


def _word(rule: Rule, estimate: Estimate, factor: int) -> tuple[Verdict, str, float | None, float | None]:
    kind = kind_of(rule)
    if not kind.tests:
        return (*_identity(rule, estimate), None, None)
    if estimate.interval is None:
        seeds = "1 paired seed" if estimate.seeds == 1 else f"{estimate.seeds} paired seeds"
        return "inconclusive", seeds if not estimate.note else "no interval", None, None
    found = describe(estimate.interval)
    if estimate.cases is False and estimate.n_test:
        found += f", {estimate.n_test} test cases, interval over seeds alone"
    if estimate.p_values is None:
        return "inconclusive", found, None, None
    adjusted = estimate.p_values.times(factor)
    detectable = kind.detectable(rule, estimate.interval, SIGNIFICANCE / factor)
    word = adjusted.word()
    if word == "inconclusive" and detectable is not None:
        found += f"; an effect of {detectable:.2g} would have been found with power .8"
    p = {"contradicted": adjusted.opposite, "not supported": adjusted.smaller}.get(word, adjusted.holds)
    return word, f"{found}, adjusted p = {p:.2g}", p, detectable


def _identity(rule: Rule, estimate: Estimate) -> tuple[Verdict, str]:
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
