"""The verdict: what the records of a run say about a rule, and about an entry of the register."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from medtl_core.errors import MedtlError
from medtl_core.evaluation.statistics import holm
from medtl_core.evidence.between import differ
from medtl_core.evidence.case_resampling import CaseIntervals
from medtl_core.evidence.combine import combine, grouped
from medtl_core.evidence.decision import Judged, Word, decide, stratum_name, why_open
from medtl_core.evidence.register import Claim, Rule
from medtl_core.evidence.rules import Estimate, measure, measure_overall

About = Literal["medical_images", "method"]
Adjusted = tuple[float | None, float | None]


@dataclass(frozen=True)
class DatasetVerdict:
    """A rule on one data set; `overall` averages strata within each seed; synthetic images may not count."""

    name: str
    word: Word
    reason: str
    counted: bool
    overall: Estimate | None
    strata: list[Judged]


@dataclass(frozen=True)
class RuleResult:
    """A rule on all data sets."""

    rule: Rule
    word: Word
    reason: str
    datasets: dict[str, DatasetVerdict]


@dataclass(frozen=True)
class Verdict:
    """An entry of the register, judged."""

    claim: Claim
    word: Word
    reason: str
    rules: list[RuleResult]


def judge(
    rule: Rule, frame: pd.DataFrame, *, about: About = "medical_images", cases: CaseIntervals | None = None
) -> RuleResult:
    """Judge one rule by itself from its notebook's tidy records; its strata and data sets are the family."""
    estimates = measure(rule, frame, cases)
    return _result(rule, frame, estimates, adjust([(rule, estimates)])[0], about)


def judge_claims(
    claims: Sequence[Claim], frames: Mapping[str, pd.DataFrame], cases: CaseIntervals | None = None
) -> list[Verdict]:
    """Judge entries from the tidy records of each notebook.

    The family of Holm's correction is every rule, data set and stratum of one notebook. MedtlError that names
    the entry where a rule does not fit the study it names.
    """
    results: dict[tuple[str, int], RuleResult] = {}
    for notebook in sorted({claim.notebook for claim in claims if claim.notebook}):
        frame = frames.get(notebook)
        if frame is None or frame.empty:
            continue
        rules = [
            (claim, i) for claim in claims if claim.notebook == notebook for i in range(len(claim.rules))
        ]
        estimates = [_measured(claim, claim.rules[i], frame, cases) for claim, i in rules]
        families = adjust(
            [(claim.rules[i], found) for (claim, i), found in zip(rules, estimates, strict=True)]
        )
        for (claim, i), found, family in zip(rules, estimates, families, strict=True):
            results[claim.id, i] = _result(claim.rules[i], frame, found, family, claim.about)
    nothing = "not measured in this run"
    return [
        verdict_of(
            claim,
            [
                results.get((claim.id, i)) or RuleResult(rule, "pending", nothing, {})
                for i, rule in enumerate(claim.rules)
            ],
        )
        for claim in claims
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


def _measured(claim: Claim, rule: Rule, frame: pd.DataFrame, cases: CaseIntervals | None) -> list[Estimate]:
    try:
        return measure(rule, frame, cases)
    except MedtlError as error:
        raise MedtlError(f"entry {claim.id}, {rule.reading} reading: {error}") from error


def _result(
    rule: Rule, frame: pd.DataFrame, estimates: list[Estimate], adjusted: list[Adjusted], about: About
) -> RuleResult:
    if not estimates:
        return RuleResult(rule, "pending", "not measured in this run", {})
    judged = [decide(rule, e, *pair) for e, pair in zip(estimates, adjusted, strict=True)]
    overall = measure_overall(rule, frame) if rule.by else {}
    datasets = {
        name: _dataset(
            rule, name, [j for j in judged if j.estimate.dataset == name], overall.get(name), about
        )
        for name in dict.fromkeys(e.dataset for e in estimates)
    }
    words = {name: verdict.word for name, verdict in datasets.items() if verdict.counted}
    if not words:
        there = grouped({name: verdict.word for name, verdict in datasets.items()})
        return RuleResult(rule, "inconclusive", f"measured on synthetic data only ({there})", datasets)
    if rule.kind == "differs":
        judged_word, reason = differ(rule, frame, list(words))
        return RuleResult(rule, judged_word, reason, datasets)
    word = _combined(rule, list(words.values()))
    if len(words) == 1 or "supported with conditions" in words.values():
        reason = "; ".join(f"{name}: {datasets[name].reason}" for name in words)
    else:
        counted = [j for name in words for j in datasets[name].strata]
        reason = grouped(words) + why_open(counted)
    if word == "supported" and rule.condition:
        return RuleResult(rule, "supported with conditions", f"{rule.condition} ({reason})", datasets)
    return RuleResult(rule, word, reason, datasets)


def _dataset(
    rule: Rule, name: str, judged: list[Judged], overall: Estimate | None, about: About
) -> DatasetVerdict:
    counted = (rule.about or about) == "method" or not any(j.estimate.synthetic for j in judged)
    if len(judged) == 1 and not judged[0].estimate.stratum:
        return DatasetVerdict(name, judged[0].word, judged[0].reason, counted, judged[0].estimate, judged)
    words = {stratum_name(j.estimate.stratum): j.word for j in judged}
    reason = grouped(words) + why_open(judged)
    return DatasetVerdict(name, _combined(rule, list(words.values())), reason, counted, overall, judged)


def _combined(rule: Rule, words: list[Word]) -> Word:
    if rule.kind != "existence":
        return combine(words, rule.combine)
    # That something exists is not refuted by the opposite elsewhere, only not shown.
    return combine(["not supported" if word == "contradicted" else word for word in words], "any")


def verdict_of(claim: Claim, results: list[RuleResult]) -> Verdict:
    """The entry's word: its main or weak reading decides, the strong one adds a condition where it fails."""
    if claim.not_testable:
        return Verdict(claim, "not testable here", claim.not_testable, [])
    if claim.handling == "literature" or (claim.handling == "correction" and not claim.rules):
        return Verdict(claim, "literature only", claim.source or claim.correction or "", [])
    if not results:
        return Verdict(claim, "pending", "no study answers this yet", [])
    if all(result.word == "pending" for result in results):
        return Verdict(claim, "pending", results[0].reason, results)
    strong = [result for result in results if result.rule.reading == "strong"]
    plain = [result for result in results if result.rule.reading != "strong"]
    if not plain:
        plain, strong = strong, []
    word, reason = _reading(plain)
    if strong and word in ("supported", "supported with conditions"):
        strong_word, strong_reason = _reading(strong)
        if strong_word == "supported":
            reason = f"{reason}; the strong reading holds too"
        else:
            word = "supported with conditions"
            reason = f"weak reading: {reason}; the strong reading is {strong_word}: {strong_reason}"
    return Verdict(claim, word, reason, results)


def _reading(results: list[RuleResult]) -> tuple[Word, str]:
    if len(results) == 1:
        return results[0].word, results[0].reason
    words: list[Word] = ["inconclusive" if r.word == "pending" else r.word for r in results]
    return combine(words, "all"), "; ".join(f"{r.rule.says}: {r.word}" for r in results)
