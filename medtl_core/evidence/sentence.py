"""A sentence for each entry with its numbers: what was compared, where, by how much, what that means."""

import re
from collections.abc import Iterator, Mapping

from medtl_core.evaluation.metric_words import metric_in_words, range_of
from medtl_core.evaluation.rounding import decimals_for, number
from medtl_core.evidence.pairing import level_name
from medtl_core.evidence.rule import Rule
from medtl_core.evidence.rule_verdict import DatasetVerdict, RuleVerdict, StratumVerdict
from medtl_core.evidence.rules.estimate import Estimate
from medtl_core.evidence.rules.kinds import kind_of
from medtl_core.evidence.verdict import EntryVerdict
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


def sentence_of(verdict: EntryVerdict, words: Mapping[str, str]) -> str:
    """What was found for an entry, in words for a reader who knows nothing of the machinery.

    `words` are those of the register's head: what ids of arms, data sets and metrics are called. Empty where
    nothing was measured that decides.
    """
    if verdict.verdict in ("pending", "literature only", "not testable here"):
        return ""
    primary = [r for r in verdict.rules if r.rule.reading != "strong"] or verdict.rules
    if verdict.verdict == "demonstrated":
        return _capital("; ".join(r.rule.hypothesis for r in primary)) + "."
    tested = [r for r in primary if kind_of(r.rule).tests]
    found = [text for result in tested if (text := _finding(result, words))]
    broken = [r for r in primary if not kind_of(r.rule).tests and r.verdict == "contradicted"]
    found += [f"broken: {r.rule.hypothesis}" for r in broken]
    if len(found) > MOST_RULES:
        found = [*found[:MOST_RULES], f"and {len(found) - MOST_RULES} more comparisons"]
    return ". ".join(_capital(text) for text in [*found, *_meaning(verdict, tested, words)]) + "."


def _finding(result: RuleVerdict, words: Mapping[str, str]) -> str:
    if not kind_of(result.rule).has_parts and result.rule.control is None:
        reason = result.reason
        for name in sorted(result.datasets, key=len, reverse=True):
            reason = reason.replace(name, _named(name, result, words))
        return f"{_metric(result.rule, words)}: {reason}"
    places = [
        (dataset, judged)
        for dataset in result.datasets.values()
        if dataset.decides
        for judged in dataset.strata
        if judged.estimate.interval is not None
    ]
    if not places:
        return ""
    told = [_place(result, dataset, judged, words) for dataset, judged in places[:MOST_PLACES]]
    more = f"; and at {len(places) - MOST_PLACES} more places" if len(places) > MOST_PLACES else ""
    return f"{_subject(result.rule, words)}: {'; '.join(told)}{more}"


def _subject(rule: Rule, words: Mapping[str, str]) -> str:
    metric = _metric(rule, words)
    arm = words.get(rule.treatment or "", (rule.treatment or "").replace("_", " "))
    compared = arm
    if rule.control is not None:
        against = "relative to" if _is_ratio(rule) else "minus"
        compared = f"{arm} {against} {words.get(rule.control, rule.control.replace('_', ' '))}"
    if rule.trend is None:
        return f"{metric} of {compared}"
    factor = words.get(rule.trend.factor, rule.trend.factor)
    if rule.trend.statistic == "spearman":
        return f"rank correlation of {metric} with {factor}, {compared}"
    step = "per doubling of" if rule.trend.scale == "log2" else "per unit of"
    log = "logarithm of " if rule.trend.value_scale == "log" else ""
    return f"change of {log}{metric} {step} {factor}, {compared}"


def _named(dataset: str, result: RuleVerdict, words: Mapping[str, str]) -> str:
    """A data set in words, with its domains where the rule has several of it: `chest X-rays, NIH`."""
    archive, _, inside = dataset.partition(" (")
    name = words.get(dataset, words.get(archive, archive))
    if sum(other.partition(" (")[0] == archive for other in result.datasets) < 2:
        return name
    domains = dict.fromkeys(inside.removesuffix(")").split(" → "))
    return f"{name}, {' to '.join(words.get(domain, domain) for domain in domains)}"


def _place(
    result: RuleVerdict, dataset: DatasetVerdict, judged: StratumVerdict, words: Mapping[str, str]
) -> str:
    rule, estimate = result.rule, judged.estimate
    interval = estimate.interval
    assert interval is not None
    values = [interval.estimate, interval.low, interval.high]
    times = _is_ratio(rule)
    if times:
        values = [2**value for value in values]
    signed = not times and (rule.control is not None or rule.trend is not None)
    decimals = decimals_for((values[2] - values[1]) / 2, range_of(rule.metric) == (0.0, 1.0))
    size, low, high = (number(value, decimals, sign=signed) for value in values)
    if times:
        size = f"× {size}"
    name = _named(dataset.name, result, words)
    at = "".join(f", {_level(factor, level, words)}" for factor, level in estimate.stratum.items())
    return f"{size} [{low}, {high}] on {name}{at} ({_basis(estimate)})"


def _is_ratio(rule: Rule) -> bool:
    """Differences of logarithms are told as factors: "× .06" rather than −4.0."""
    return rule.metric.startswith("log2_") and rule.trend is None


def _metric(rule: Rule, words: Mapping[str, str]) -> str:
    metric = metric_in_words(rule.metric, dict(words))
    return re.sub(r" \(log2.*\)", "", metric) if _is_ratio(rule) else metric


def _level(factor: str, level: object, words: Mapping[str, str]) -> str:
    """`64 training images` where the factor has a word, else `severity = 2`; names stand alone."""
    name = level_name(level)
    if isinstance(level, int | float) and not isinstance(level, bool):
        return f"{name} {words[factor]}" if factor in words else f"{factor.replace('_', ' ')} = {name}"
    return words.get(name, name.replace("_", " "))


def _basis(estimate: Estimate) -> str:
    seeds = f"{estimate.seeds} seeds"
    if estimate.cases is False and estimate.n_test:
        return f"{seeds}, on these {estimate.n_test} test images"
    return f"{seeds}, {estimate.n_test} test images" if estimate.cases and estimate.n_test else seeds


def _meaning(verdict: EntryVerdict, tested: list[RuleVerdict], words: Mapping[str, str]) -> Iterator[str]:
    names = {
        "supported": [words.get(d, d) for d, word in verdict.parts.items() if word == "supported"],
        "failed": [
            words.get(d, d) for d, word in verdict.parts.items() if word in ("contradicted", "not supported")
        ],
    }
    text = MEANING[verdict.verdict].format(**{key: ", ".join(found) for key, found in names.items()})
    if verdict.verdict == "supported" and verdict.p_adjusted is not None:
        p = verdict.p_adjusted
        text += f" ({'p < .001' if p < 0.001 else f'p = {number(p, 3)}'} after Holm's correction)"
    if verdict.verdict == "inconclusive":
        text += _why_open(verdict, tested, words)
    yield text
    if verdict.strong is not None:
        strong = f" ({verdict.claim.strong_word!r})" if verdict.claim.strong_word else ""
        said = {"supported": "holds too", "inconclusive": "is open"}.get(
            verdict.strong, f"is {verdict.strong}"
        )
        yield f"its strong reading{strong} {said}"


def _why_open(verdict: EntryVerdict, tested: list[RuleVerdict], words: Mapping[str, str]) -> str:
    measured = {
        s.estimate.archive for r in tested for d in r.datasets.values() if d.decides for s in d.strata
    }
    if missing := [words.get(name, name) for name in verdict.parts if name not in measured]:
        return f": not measured on {', '.join(missing)}"
    undecided = [
        (result, dataset, judged)
        for result in tested
        for dataset in result.datasets.values()
        for judged in (dataset.strata if dataset.decides else ())
        if judged.verdict == "inconclusive"
    ]
    reasons: dict[str, list[str]] = {}
    for result, dataset, judged in undecided:
        if judged.estimate.note and judged.p_adjusted is None:
            places = reasons.setdefault(_with_names(judged.estimate.note, result.rule, words), [])
            name = _named(dataset.name, result, words)
            places += [name] if name not in places else []
    if reasons:
        return ": " + "; ".join(
            f"{reason} ({', '.join(places)})" for reason, places in sorted(reasons.items())
        )
    if not (sizes := [(j.detectable, r.rule) for r, _, j in undecided if j.detectable]):
        return ""
    largest = _effect(*max(sizes, key=lambda found: found[0]))
    found = f": only an effect of {largest} or more would have been found with a power of 80 %"
    if not (needs := [place for place in undecided if place[2].needed is not None]):
        return found
    result, dataset, judged = max(needs, key=lambda place: _times_larger(place[2]))
    smallest = _effect(result.rule.margin or 0.0, result.rule)
    where = _named(dataset.name, result, words)
    return f"{found}; one of {smallest}, the smallest that matters, would take {_size(judged)} on {where}"


def _effect(size: float, rule: Rule) -> str:
    return f"a factor of {2**size:.2g}" if _is_ratio(rule) else f"{size:.2g}".removeprefix("0")


def _times_larger(judged: StratumVerdict) -> float:
    """How many times the seeds and test cases of a study one that decides would have."""
    needed, estimate = judged.needed, judged.estimate
    assert needed is not None
    return needed.seeds / estimate.seeds * ((needed.cases or 1) / (estimate.n_test or 1))


def _size(judged: StratumVerdict) -> str:
    """`40 seeds`, `about 2,300 test images` or both: what has to grow, to two digits."""
    needed, estimate = judged.needed, judged.estimate
    assert needed is not None
    wanted = [(needed.seeds, estimate.seeds, "seeds"), (needed.cases, estimate.n_test, "test images")]
    grown = [(float(f"{more:.2g}"), unit) for more, here, unit in wanted if more and more != here]
    return " and ".join(f"about {more:,.0f} {unit}" for more, unit in grown)


def _with_names(reason: str, rule: Rule, words: Mapping[str, str]) -> str:
    """A reason with the names of the rule's arms and metric in words."""
    for name in (rule.treatment, rule.control):
        if name:
            reason = re.sub(rf"\b{re.escape(name)}\b", words.get(name, name.replace("_", " ")), reason)
    metric = _metric(rule, words)
    if metric[1:2].islower():  # not an acronym
        metric = metric[:1].lower() + metric[1:]
    return re.sub(rf"\b{re.escape(rule.metric)}\b", metric, reason)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
