"""The verdict on each entry of the register, from the records of a run."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from medtl_core.errors import MedtlError
from medtl_core.evidence.case_resampling import CaseIntervals
from medtl_core.evidence.estimation import estimates, overall_estimates
from medtl_core.evidence.family import Adjusted, adjust
from medtl_core.evidence.reading import WHOLE, Measured, Reading, readings
from medtl_core.evidence.register import Claim, Register
from medtl_core.evidence.rule import Rule
from medtl_core.evidence.rule_verdict import RuleVerdict, judge_rule
from medtl_core.evidence.rules.kinds import kind_of
from medtl_core.evidence.words import SIGNIFICANCE, Verdict, by_word, word_over_parts


@dataclass(frozen=True)
class EntryVerdict:
    """An entry of the register, judged.

    `parts` holds the word of each data set of its scope; `strong` that of the strong reading, None where it
    has none or the primary reading does not hold. `p_adjusted` and `factor` are those of the primary reading
    in its notebook's family, None for an entry that is in no family.
    """

    claim: Claim
    verdict: Verdict
    reason: str
    rules: list[RuleVerdict]
    parts: dict[str, Verdict]
    strong: Verdict | None = None
    p_adjusted: float | None = None
    factor: int = 1


def judge_entries(
    register: Register,
    frames: Mapping[str, pd.DataFrame],
    cases: CaseIntervals | None = None,
    notebook: str | None = None,
) -> list[EntryVerdict]:
    """Judge the entries of a register (or those of one notebook) from the tidy records of each notebook.

    The family of Holm's correction is every entry of a notebook with an empirical primary reading, measured
    or not. MedtlError that names the entry where a rule does not fit the study it names.
    """
    found: dict[str, EntryVerdict] = {}
    for name in dict.fromkeys(claim.notebook for claim in register.of(notebook)):
        found |= _judge_notebook(register, name, frames.get(name or "", pd.DataFrame()), cases)
    return [found[claim.id] for claim in register.of(notebook)]


def _judge_notebook(
    register: Register, notebook: str | None, frame: pd.DataFrame, cases: CaseIntervals | None
) -> dict[str, EntryVerdict]:
    claims = [claim for claim in register.entries if claim.notebook == notebook]
    measured = {claim.id: _measure(register, claim, frame, cases) for claim in claims}
    read = {claim.id: readings(measured[claim.id]) for claim in claims if claim.rules}
    family = {
        claim.id: read[claim.id]
        for claim in claims
        if claim.rules and claim.handling != "demonstration" and read[claim.id][0].tested
    }
    adjusted = adjust(family)
    return {claim.id: _verdict(claim, read.get(claim.id), adjusted.get(claim.id), frame) for claim in claims}


def _measure(
    register: Register, claim: Claim, frame: pd.DataFrame, cases: CaseIntervals | None
) -> list[Measured]:
    found = []
    for rule in claim.rules:
        try:
            there = [] if frame.empty else estimates(rule, frame, cases)
        except MedtlError as error:
            raise MedtlError(f"entry {claim.id}, {rule.reading} reading: {error}") from error
        evidence = register.synthetic_is_evidence(claim, rule)
        found.append(Measured(rule, there, register.scope_of(claim, rule), evidence, frame))
    return found


def _verdict(
    claim: Claim, read: tuple[Reading, Reading | None] | None, adjusted: Adjusted | None, frame: pd.DataFrame
) -> EntryVerdict:
    if claim.not_testable:
        return EntryVerdict(claim, "not testable here", claim.not_testable, [], {})
    if claim.handling == "literature" or (claim.handling == "correction" and not claim.rules):
        return EntryVerdict(claim, "literature only", claim.source or claim.correction or "", [], {})
    if read is None:
        return EntryVerdict(claim, "pending", "no study answers this yet", [], {})
    primary, strong = read
    factor = adjusted.factor if adjusted else 1
    rules = [judge_rule(m, factor, _overall(m.rule, m, frame)) for m in primary.rules]
    rules += [judge_rule(m, factor, _overall(m.rule, m, frame)) for m in (strong.rules if strong else ())]
    if not primary.measured:
        return EntryVerdict(claim, "pending", _where_else(primary), rules, {}, factor=factor)
    if primary.broken:
        broken = "; ".join(m.rule.hypothesis for m in primary.rules if m.broken())
        return EntryVerdict(claim, "contradicted", f"broken: {broken}", rules, {}, factor=factor)
    if adjusted is None:
        return _demonstrated(claim, primary, rules)
    parts = {name: p.word() for name, p in adjusted.parts.items() if name != WHOLE}
    if adjusted.holds <= SIGNIFICANCE:
        verdict: Verdict = "supported"
        # What holds for the conjunction holds, at the level of the whole, for each part of it.
        also = {name for name in parts if adjusted.factor * adjusted.each[name].holds <= SIGNIFICANCE}
        parts |= dict.fromkeys(also, "supported")
    else:
        verdict = word_over_parts(parts or {WHOLE: adjusted.parts[WHOLE].word()})
    strong_word = _strong_word(strong, adjusted, verdict)
    reason = by_word(parts) or verdict
    if strong_word:
        reason += f"; strong reading: {strong_word}"
    return EntryVerdict(claim, verdict, reason, rules, parts, strong_word, adjusted.holds, factor)


def _strong_word(strong: Reading | None, adjusted: Adjusted, verdict: Verdict) -> Verdict | None:
    """Tested where the primary reading holds, at the same level; its opposite is always said."""
    if strong is None or not strong.measured:
        return None
    if strong.broken:
        return "contradicted"
    if not strong.tested:
        return "supported" if strong.complete and verdict == "supported" else None
    if verdict == "supported" and adjusted.factor * strong.holds() <= SIGNIFICANCE:
        return "supported"
    words = {p.word() for p in adjusted.strong_parts.values()}
    if "contradicted" in words:
        return "contradicted"
    if verdict != "supported":
        return None
    return "not supported" if "not supported" in words else "inconclusive"


def _demonstrated(claim: Claim, primary: Reading, rules: list[RuleVerdict]) -> EntryVerdict:
    """What is shown and never counted among what data support: identities, and effects without correction."""
    names = [name for name in primary.part_names() if name != WHOLE] if primary.tested else []
    parts = {name: primary.part(name).word() for name in names}
    if not primary.complete:
        return EntryVerdict(claim, "pending", "not all of it was shown in this run", rules, parts)
    if primary.tested and primary.holds() > SIGNIFICANCE:
        word = word_over_parts(parts or {WHOLE: primary.part(WHOLE).word()})
        word = "inconclusive" if word in ("supported", "partly supported") else word
        return EntryVerdict(claim, word, by_word(parts) or word, rules, parts)
    shown = "; ".join(m.rule.hypothesis for m in primary.rules)
    return EntryVerdict(claim, "demonstrated", shown, rules, parts)


def _overall(rule: Rule, measured: Measured, frame: pd.DataFrame) -> dict[str, object]:
    several = any(e.stratum for e in measured.estimates) and kind_of(rule).has_interval
    return dict(overall_estimates(rule, frame)) if several else {}


def _where_else(primary: Reading) -> str:
    """Why nothing decides yet: not measured, or measured elsewhere alone."""
    there = [e for m in primary.rules for e in m.estimates]
    made_up = sorted({e.archive for e in there if e.synthetic})
    others = sorted({e.archive for e in there if not e.synthetic})
    if not there:
        return "not measured in this run"
    where = f"made-up data ({', '.join(made_up)})" if made_up and not others else ", ".join(others)
    scope = list(dict.fromkeys(archive for m in primary.rules for archive in m.archives))
    if set(made_up) & set(scope):
        return f"measured on made-up data ({', '.join(made_up)}) only, which decide nothing here"
    return f"measured on {where} only; decided on {', '.join(scope) or 'real images'}"
