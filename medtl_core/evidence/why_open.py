"""Why a statement is still open, and what would decide it."""

from collections.abc import Mapping

from medtl_core.evidence.comparison_words import data_set_in_words, is_ratio, with_names
from medtl_core.evidence.rule import Rule
from medtl_core.evidence.rule_verdict import RuleVerdict, StratumVerdict
from medtl_core.evidence.verdict import EntryVerdict


def why_open(verdict: EntryVerdict, tested: list[RuleVerdict], words: Mapping[str, str]) -> str:
    """What follows `This leaves the statement open`: missing data, a reason, or what would decide it."""
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
            places = reasons.setdefault(with_names(judged.estimate.note, result.rule, words), [])
            name = data_set_in_words(dataset.name, result, words)
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
    where = data_set_in_words(dataset.name, result, words)
    return f"{found}; one of {smallest}, the smallest that matters, would take {_size(judged)} on {where}"


def _effect(size: float, rule: Rule) -> str:
    if is_ratio(rule):
        return f"a factor of {2**size:.2g}"
    rounded = float(f"{size:.2g}")
    return f"{rounded:,.0f}" if rounded >= 100 else f"{rounded:g}".removeprefix("0")


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
