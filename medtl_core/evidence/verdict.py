"""The verdict: what the records of a run say about a rule, and about an entry of the register."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from medtl_core.errors import MedtlError
from medtl_core.evaluation.statistics import holm
from medtl_core.evidence.case_resampling import CaseIntervals
from medtl_core.evidence.combine import Verdict, combine, summarise_by_verdict
from medtl_core.evidence.decision import StratumVerdict, decide, explain_inconclusive
from medtl_core.evidence.estimation import estimates, overall_estimates
from medtl_core.evidence.pairing import stratum_name
from medtl_core.evidence.register import Claim, Register
from medtl_core.evidence.rule import Rule
from medtl_core.evidence.rules.estimate import Estimate
from medtl_core.evidence.rules.kinds import kind_of

Adjusted = tuple[float | None, float | None]


@dataclass(frozen=True)
class DatasetVerdict:
    """A rule on one data set; `overall` averages strata within each seed; synthetic images may not count."""

    name: str
    verdict: Verdict
    reason: str
    eligible: bool
    overall: Estimate | None
    strata: list[StratumVerdict]


@dataclass(frozen=True)
class RuleVerdict:
    """A rule on all data sets."""

    rule: Rule
    verdict: Verdict
    reason: str
    datasets: dict[str, DatasetVerdict]


@dataclass(frozen=True)
class EntryVerdict:
    """An entry of the register, judged."""

    claim: Claim
    verdict: Verdict
    reason: str
    rules: list[RuleVerdict]


def judge(
    rule: Rule,
    frame: pd.DataFrame,
    *,
    synthetic_is_evidence: bool = False,
    cases: CaseIntervals | None = None,
) -> RuleVerdict:
    """Judge one rule by itself from its notebook's tidy records; its strata and data sets are the family."""
    found = estimates(rule, frame, cases)
    return _result(rule, frame, found, adjust([(rule, found)])[0], synthetic_is_evidence)


def judge_entries(
    register: Register,
    frames: Mapping[str, pd.DataFrame],
    cases: CaseIntervals | None = None,
    notebook: str | None = None,
) -> list[EntryVerdict]:
    """Judge the entries of a register (or those of one notebook) from the tidy records of each notebook.

    The family of Holm's correction is every rule, data set and stratum of one notebook. MedtlError that names
    the entry where a rule does not fit the study it names.
    """
    entries = register.of(notebook)
    results: dict[tuple[str, int], RuleVerdict] = {}
    for name in sorted({claim.notebook for claim in entries if claim.notebook}):
        frame = frames.get(name)
        if frame is None or frame.empty:
            continue
        rules = [(claim, i) for claim in register.of(name) for i in range(len(claim.rules))]
        found = [_estimates(claim, claim.rules[i], frame, cases) for claim, i in rules]
        families = adjust([(claim.rules[i], one) for (claim, i), one in zip(rules, found, strict=True)])
        for (claim, i), one, family in zip(rules, found, families, strict=True):
            rule = claim.rules[i]
            evidence = register.synthetic_is_evidence(claim, rule)
            results[claim.id, i] = _result(rule, frame, one, family, evidence)
    nothing = "not measured in this run"
    return [
        verdict_of(
            claim,
            [
                results.get((claim.id, i)) or RuleVerdict(rule, "pending", nothing, {})
                for i, rule in enumerate(claim.rules)
            ],
        )
        for claim in entries
    ]


def adjust(measured: Sequence[tuple[Rule, list[Estimate]]]) -> list[list[Adjusted]]:
    """Holm's correction over everything that was tested; too few seeds are no test and do not count."""
    tested = [
        estimate
        for rule, estimates in measured
        for estimate in estimates
        if estimate.p_for is not None and estimate.seeds >= rule.min_seeds
    ]
    p_for = holm([estimate.p_for for estimate in tested if estimate.p_for is not None])
    p_against = holm([estimate.p_against for estimate in tested if estimate.p_against is not None])
    adjusted = {id(estimate): pair for estimate, *pair in zip(tested, p_for, p_against, strict=True)}
    return [[_pair(adjusted.get(id(e))) for e in estimates] for _, estimates in measured]


def _pair(found: list[float] | None) -> Adjusted:
    return (found[0], found[1]) if found else (None, None)


def _estimates(claim: Claim, rule: Rule, frame: pd.DataFrame, cases: CaseIntervals | None) -> list[Estimate]:
    try:
        return estimates(rule, frame, cases)
    except MedtlError as error:
        raise MedtlError(f"entry {claim.id}, {rule.reading} reading: {error}") from error


def _result(
    rule: Rule,
    frame: pd.DataFrame,
    found: list[Estimate],
    adjusted: list[Adjusted],
    synthetic_is_evidence: bool,
) -> RuleVerdict:
    if not found:
        return RuleVerdict(rule, "pending", "not measured in this run", {})
    judged = [decide(rule, e, *pair) for e, pair in zip(found, adjusted, strict=True)]
    overall = overall_estimates(rule, frame) if any(e.stratum for e in found) else {}
    datasets = {
        name: _dataset(
            rule,
            name,
            [j for j in judged if j.estimate.dataset == name],
            overall.get(name),
            synthetic_is_evidence,
        )
        for name in dict.fromkeys(e.dataset for e in found)
    }
    eligible = {name: verdict for name, verdict in datasets.items() if verdict.eligible}
    if not eligible:
        there = summarise_by_verdict({name: verdict.verdict for name, verdict in datasets.items()})
        return RuleVerdict(rule, "inconclusive", f"measured on synthetic data only ({there})", datasets)
    at_once = kind_of(rule).decide_over_datasets(rule, frame, list(eligible))
    if at_once is not None:
        return RuleVerdict(rule, *at_once, datasets)
    verdict, reason = _over_datasets(rule, eligible)
    if verdict == "supported" and rule.condition:
        return RuleVerdict(rule, "supported with conditions", f"{rule.condition} ({reason})", datasets)
    return RuleVerdict(rule, verdict, reason, datasets)


def _over_datasets(rule: Rule, eligible: dict[str, DatasetVerdict]) -> tuple[Verdict, str]:
    verdicts = {name: found.verdict for name, found in eligible.items()}
    if len(verdicts) == 1 or "supported with conditions" in verdicts.values():
        reason = "; ".join(f"{name}: {eligible[name].reason}" for name in verdicts)
    else:
        judged = [j for found in eligible.values() for j in found.strata]
        reason = summarise_by_verdict(verdicts) + explain_inconclusive(judged)
    if settings := sorted(
        {s for found in eligible.values() for j in found.strata for s in j.estimate.settings}
    ):
        reason += f"; configurations judged apart by {', '.join(settings)}"
    return kind_of(rule).combine(rule, list(verdicts.values())), reason


def _dataset(
    rule: Rule,
    name: str,
    judged: list[StratumVerdict],
    overall: Estimate | None,
    synthetic_is_evidence: bool,
) -> DatasetVerdict:
    eligible = synthetic_is_evidence or not any(j.estimate.synthetic for j in judged)
    if len(judged) == 1 and not judged[0].estimate.stratum:
        return DatasetVerdict(name, judged[0].verdict, judged[0].reason, eligible, judged[0].estimate, judged)
    verdicts = {stratum_name(j.estimate.stratum): j.verdict for j in judged}
    reason = summarise_by_verdict(verdicts) + explain_inconclusive(judged)
    verdict = kind_of(rule).combine(rule, list(verdicts.values()))
    return DatasetVerdict(name, verdict, reason, eligible, overall, judged)


def verdict_of(claim: Claim, results: list[RuleVerdict]) -> EntryVerdict:
    """Its main or weak reading decides, the strong one adds a condition where it fails."""
    if claim.not_testable:
        return EntryVerdict(claim, "not testable here", claim.not_testable, [])
    if claim.handling == "literature" or (claim.handling == "correction" and not claim.rules):
        return EntryVerdict(claim, "literature only", claim.source or claim.correction or "", [])
    if not results:
        return EntryVerdict(claim, "pending", "no study answers this yet", [])
    if all(result.verdict == "pending" for result in results):
        return EntryVerdict(claim, "pending", results[0].reason, results)
    strong = [result for result in results if result.rule.reading == "strong"]
    plain = [result for result in results if result.rule.reading != "strong"]
    if not plain:
        plain, strong = strong, []
    verdict, reason = _reading(plain)
    if strong and verdict in ("supported", "supported with conditions"):
        strong_verdict, strong_reason = _reading(strong)
        if strong_verdict == "supported":
            reason = f"{reason}; the strong reading holds too"
        else:
            verdict = "supported with conditions"
            reason = f"weak reading: {reason}; the strong reading is {strong_verdict}: {strong_reason}"
    return EntryVerdict(claim, verdict, reason, results)


def _reading(results: list[RuleVerdict]) -> tuple[Verdict, str]:
    if len(results) == 1:
        return results[0].verdict, results[0].reason
    verdicts: list[Verdict] = ["inconclusive" if r.verdict == "pending" else r.verdict for r in results]
    return combine(verdicts, "all"), "; ".join(f"{r.rule.hypothesis}: {r.verdict}" for r in results)
