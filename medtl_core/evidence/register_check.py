"""The register held against what studies declare: does every rule ask for something that is measured?"""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from medtl_core.evidence.pairing import FILTERABLE
from medtl_core.evidence.register import Claim, Register
from medtl_core.evidence.rule import Rule, Span
from medtl_core.evidence.study_declaration import StudyDeclaration

Declared = Mapping[tuple[str, str], StudyDeclaration]


@dataclass(frozen=True)
class RegisterCheck:
    """What does not fit: `problems` are lines that each name an entry, its rule and what no study declares.

    `waiting` holds the ids of entries by notebook that declared nothing yet; `answered` counts the rules that
    fit a study.
    """

    problems: list[str]
    waiting: dict[str, list[str]]
    answered: int


def check_register(register: Register, declared: Declared) -> RegisterCheck:
    """Hold every rule against the declarations of the studies, by notebook and study.

    A rule names a study of its entry's notebook, arms and a metric of that study, factors that it varies, and
    levels: a name has to be one of the factor's levels; a number or a range needs a factor whose levels are
    numbers, since which of them are run depends on the profile. Rules of a notebook that declared nothing are
    not judged; the ids of their entries are listed.
    """
    notebooks = {notebook for notebook, _ in declared}
    problems: list[str] = []
    waiting: dict[str, list[str]] = {}
    answered = 0
    for claim in register.entries:
        for rule in claim.rules:
            notebook = str(claim.notebook)
            if notebook not in notebooks:
                ids = waiting.setdefault(notebook, [])
                ids += [claim.id] if claim.id not in ids else []
                continue
            found = list(_problems(claim, rule, declared))
            answered += not found
            problems += [f"{claim.id}, {rule.reading} reading, {rule.hypothesis!r}: {line}" for line in found]
    return RegisterCheck(problems, dict(sorted(waiting.items())), answered)


def _problems(claim: Claim, rule: Rule, declared: Declared) -> Iterator[str]:
    study = declared.get((str(claim.notebook), rule.study))
    if study is None:
        known = [name for notebook, name in declared if notebook == claim.notebook]
        yield _unknown("study", rule.study, known, f"notebook {claim.notebook}")
        return
    place = f"study {study.notebook}/{study.study}"
    for arm in (rule.treatment, rule.control):
        if arm is not None and arm not in study.arms:
            yield _unknown("arm", arm, study.arms, place)
    if rule.metric not in study.metrics:
        yield _unknown("metric", rule.metric, study.metrics, place)
    along = [rule.trend.factor] if rule.trend is not None else []
    for name in dict.fromkeys([*rule.where, *rule.by, *along]):
        if name not in study.factors and name not in FILTERABLE:
            yield _unknown("factor", name, study.factors, place)
        elif name in study.factors:
            yield from _level_problems(name, rule.where.get(name, []), study, place)
            if name in along:
                yield from _level_problems(name, Span(min=0.0), study, place)


def _level_problems(factor: str, wanted: Any, study: StudyDeclaration, place: str) -> Iterator[str]:
    levels = study.factors[factor]
    for level in wanted if isinstance(wanted, list) else [wanted]:
        if isinstance(level, str | bool):
            if level not in levels:
                yield _unknown(f"level of factor {factor!r}", level, levels, place)
        elif not any(isinstance(known, int | float) and not isinstance(known, bool) for known in levels):
            names = ", ".join(map(str, levels))
            yield f"factor {factor!r} of {place} has the levels {names}, which are not numbers"


def _unknown(what: str, name: object, known: Iterable[object], place: str) -> str:
    names = [str(one) for one in known]
    near = difflib.get_close_matches(str(name), names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"expected one of: {', '.join(names) or 'none'}"
    return f"unknown {what} {str(name)!r} in {place}; {hint}"
