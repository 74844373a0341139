"""Verdicts as plain rows, ready for JSON."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from medtl_core.evidence.pairing import stratum_name
from medtl_core.evidence.rule_verdict import DatasetVerdict, RuleVerdict, StratumVerdict
from medtl_core.evidence.rules.estimate import Estimate
from medtl_core.evidence.rules.kinds import kind_of
from medtl_core.evidence.sentence import sentence_of
from medtl_core.evidence.verdict import EntryVerdict
from medtl_core.evidence.wording import effect_in_words, rule_in_words

SIGNIFICANT_DIGITS = 6


def entry_row(
    verdict: EntryVerdict, population: str, rule_changed: bool, words: Mapping[str, str]
) -> dict[str, Any]:
    """An entry of the register with its verdict.

    `rule`, `rule_version` and the numbers in `datasets` are those of the rule that decides (the first of the
    main or weak reading); `rules` holds all of them. `population` is what the entry is about;
    `rule_changed`: one of its rules was changed after its records were taken. `words` are those of the head.
    """
    claim = verdict.claim
    deciding = [r for r in verdict.rules if r.rule.reading != "strong"] or verdict.rules
    first = deciding[0].rule if deciding else None
    reason = verdict.reason + ("; rule changed after measurement" if rule_changed else "")
    return {
        "id": claim.id,
        "section": claim.section,
        "statement": claim.statement,
        "locator": claim.locator,
        "references": list(claim.references),
        "kind": claim.kind,
        "handling": claim.handling,
        "population": population,
        "notebook": claim.notebook,
        "verdict": verdict.verdict,
        "reason": reason,
        "sentence": sentence_of(verdict, words),
        "rule": first.kind if first else None,
        "rule_in_words": rule_in_words(first) if first else None,
        "rule_version": first.version if first else None,
        "rule_changed_after_measurement": rule_changed,
        "expected": claim.expected,
        "source": claim.source,
        "correction": claim.correction,
        "parts": verdict.parts,
        "strong": verdict.strong,
        "p_adjusted": _rounded(verdict.p_adjusted),
        "datasets": _deciding_datasets(verdict, deciding),
        "rules": [_rule_row(result) for result in verdict.rules],
    }


def _deciding_datasets(verdict: EntryVerdict, results: list[RuleVerdict]) -> dict[str, Any]:
    """Each data set with the numbers of its first rule, and its word: a replication has that of the rule."""
    rows: dict[str, Any] = {}
    for name in sorted({name for result in results for name in result.datasets}):
        found = next(result.datasets[name] for result in results if name in result.datasets)
        archive = found.strata[0].estimate.archive
        rows[name] = _dataset_row(found) | {"verdict": verdict.parts.get(archive, found.verdict)}
    return rows


def _rule_row(result: RuleVerdict) -> dict[str, Any]:
    rule = result.rule
    band = kind_of(rule).plot_band(rule)
    return {
        "reading": rule.reading,
        "hypothesis": rule.hypothesis,
        "kind": rule.kind,
        "rule_in_words": rule_in_words(rule),
        "effect": effect_in_words(rule),
        "version": rule.version,
        "study": rule.study,
        "metric": rule.metric,
        "direction": rule.direction,
        "margin": rule.margin,
        "band": list(band) if band is not None else None,
        "has_interval": kind_of(rule).has_interval,
        "verdict": result.verdict,
        "reason": result.reason,
        "datasets": {name: _dataset_row(verdict) for name, verdict in result.datasets.items()},
    }


def _dataset_row(verdict: DatasetVerdict) -> dict[str, Any]:
    strata = [_stratum_row(judged) for judged in verdict.strata]
    numbers = _numbers(verdict.overall)
    return {
        "verdict": verdict.verdict,
        "reason": verdict.reason,
        "eligible": verdict.eligible,
        "decides": verdict.decides,
        **numbers,
        "strata": strata,
    }


def _stratum_row(judged: StratumVerdict) -> dict[str, Any]:
    estimate = judged.estimate
    return {
        "stratum": stratum_name(estimate.stratum),
        "levels": {name: _plain(level) for name, level in estimate.stratum.items()},
        "verdict": judged.verdict,
        "reason": judged.reason,
        **_numbers(estimate),
        "excluded": estimate.excluded,
        "p_adjusted": _rounded(judged.p_adjusted),
        "new_cases": estimate.cases,
        "n_test": estimate.n_test,
        "detectable": _rounded(judged.detectable),
        "needed": asdict(judged.needed) if judged.needed else None,
        "method": estimate.interval.method if estimate.interval else None,
    }


def _numbers(estimate: Estimate | None) -> dict[str, Any]:
    """Estimate, limits and seeds; of a deterministic rule the worst, least and greatest of so many values."""
    found: tuple[float | None, float | None, float | None] = (None, None, None)
    if estimate is not None and estimate.interval is not None:
        found = (estimate.interval.estimate, estimate.interval.low, estimate.interval.high)
    elif estimate is not None and estimate.extremes is not None:
        found = estimate.extremes
    numbers = dict(zip(("estimate", "low", "high"), map(_rounded, found), strict=True))
    return {**numbers, "seeds": estimate.seeds if estimate is not None else 0}


def _rounded(value: float | None) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}")


def _plain(level: Any) -> Any:
    level = level.item() if hasattr(level, "item") else level
    return int(level) if isinstance(level, float) and level.is_integer() else level
