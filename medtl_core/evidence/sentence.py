"""A sentence for each entry with its numbers: what was compared, where, by how much, what that means."""

from collections.abc import Iterator, Mapping

from medtl_core.evaluation.rounding import counted, number
from medtl_core.evidence.comparison_words import (
    data_set_in_words,
    estimate_in_words,
    rule_metric_in_words,
    subject_in_words,
)
from medtl_core.evidence.rule_verdict import RuleVerdict
from medtl_core.evidence.rules.kinds import kind_of
from medtl_core.evidence.verdict import EntryVerdict
from medtl_core.evidence.why_open import why_open
from medtl_core.evidence.words import Verdict

MOST_RULES = 3
MOST_PLACES = 4
MEANING: dict[Verdict, str] = {
    "supported": "This supports the statement",
    "partly supported": "This supports the statement on {supported}; elsewhere it is open",
    "mixed": "The data sets disagree, each beyond doubt: it holds on {supported} and not on {failed}",
    "not supported": "The effect falls short of the smallest one that the statement needs",
    "contradicted": "The opposite of the statement is shown",
    "inconclusive": "This leaves the statement open",
}
ONE_IS_ENOUGH = "One such case is enough, so this supports the statement"


def sentence_of(verdict: EntryVerdict, words: Mapping[str, str]) -> str:
    """What was found for an entry, in words for a reader who knows nothing of the machinery.

    `words` are those of the register's head: what ids of arms, data sets and metrics are called. Empty where
    nothing was measured that decides.
    """
    if verdict.verdict in ("pending", "literature only", "not testable here"):
        return ""
    primary = [r for r in verdict.rules if r.rule.reading != "strong"] or verdict.rules
    if verdict.verdict == "demonstrated":
        shown = ["; ".join(r.rule.hypothesis for r in primary), verdict.claim.proxy or ""]
        return ". ".join(_capital(text) for text in shown if text) + "."
    tested = [r for r in primary if kind_of(r.rule).tests]
    found = [text for result in tested if (text := _finding(result, words))]
    broken = [r for r in primary if not kind_of(r.rule).tests and r.verdict == "contradicted"]
    found += [f"broken: {r.rule.hypothesis}" for r in broken]
    if len(found) > MOST_RULES:
        found = [*found[:MOST_RULES], f"and {counted(len(found) - MOST_RULES, 'more comparison')}"]
    return ". ".join(_capital(text) for text in [*found, *_meaning(verdict, tested, words)]) + "."


def _finding(result: RuleVerdict, words: Mapping[str, str]) -> str:
    if not kind_of(result.rule).has_parts and result.rule.control is None:
        reason = result.reason
        for name in sorted(result.datasets, key=len, reverse=True):
            reason = reason.replace(name, data_set_in_words(name, result, words))
        return f"{rule_metric_in_words(result.rule, words)}: {reason}"
    places = [
        (dataset, judged)
        for dataset in result.datasets.values()
        if dataset.decides
        for judged in dataset.strata
        if judged.estimate.interval is not None
    ]
    if not places:
        return ""
    told = [estimate_in_words(result, dataset, judged, words) for dataset, judged in places[:MOST_PLACES]]
    more = f"; and at {counted(len(places) - MOST_PLACES, 'more place')}" if len(places) > MOST_PLACES else ""
    return f"{subject_in_words(result.rule, words)}: {'; '.join(told)}{more}"


def _meaning(verdict: EntryVerdict, tested: list[RuleVerdict], words: Mapping[str, str]) -> Iterator[str]:
    names = {
        "supported": [words.get(d, d) for d, word in verdict.parts.items() if word == "supported"],
        "failed": [
            words.get(d, d) for d, word in verdict.parts.items() if word in ("contradicted", "not supported")
        ],
    }
    text = MEANING[verdict.verdict].format(**{key: ", ".join(found) for key, found in names.items()})
    if verdict.verdict == "supported" and any(map(_rests_on_one_of_several, tested)):
        text = ONE_IS_ENOUGH
    if verdict.verdict == "supported" and verdict.p_adjusted is not None:
        p = verdict.p_adjusted
        text += f" ({'p < .001' if p < 0.001 else f'p = {number(p, 3)}'} after Holm's correction)"
    if verdict.verdict == "inconclusive":
        text += why_open(verdict, tested, words)
    yield text
    if verdict.strong is not None:
        strong = f" ({verdict.claim.strong_word!r})" if verdict.claim.strong_word else ""
        said = {"supported": "holds too", "inconclusive": "is open"}.get(
            verdict.strong, f"is {verdict.strong}"
        )
        yield f"its strong reading{strong} {said}"
    if verdict.claim.proxy:
        yield verdict.claim.proxy


def _rests_on_one_of_several(result: RuleVerdict) -> bool:
    if not (kind_of(result.rule).one_place_is_enough or result.rule.combine == "any"):
        return False
    return sum(len(dataset.strata) for dataset in result.datasets.values() if dataset.decides) > 1


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
