"""A world: the register's own structure, with records in which the truth of every rule is known."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from medtl_core.evaluation.statistics import Interval, interval_of_draws
from medtl_core.evidence.case_resampling import Contrast
from medtl_core.evidence.register import Claim, Register
from medtl_core.evidence.rule import Rule
from medtl_core.evidence.rules.kinds import kind_of

SD = 0.02
"""Standard deviation between seeds of a difference of two arms."""
BASE = 0.7
LEVELS = (16, 32, 64, 128)
STRATA = (0, 1)
ARCHIVES = ("one", "two", "three")
RAREST = 80
DRAWS = 200
FREE = {"equivalence", "non_inferiority", "deterministic"}
"""Kinds whose hypothesis is true where nothing has an effect."""


@dataclass(frozen=True)
class World:
    """`effect` in standard deviations between seeds, `case_ratio` is case to seed spread of a difference.

    The effect is that of every rule; with `one_null`, of all but one rule and data set of each entry.
    `skewed`: differences between seeds are lognormal, with the same mean and standard deviation.
    """

    seeds: int
    case_ratio: float
    effect: float = 0.0
    one_null: bool = False
    skewed: bool = False
    noise_archives: int = 0


def private_studies(register: Register) -> Register:
    """The register with a study of its own for each rule, so that each can be given its own truth.

    Kinds, readings, strata, trends, scopes, margins and how places are combined stay as they are.
    """
    entries = []
    for claim in register.entries:
        scope = list(register.scope_of(claim, claim.rules[0]) or ARCHIVES) if claim.rules else None
        rules = [
            rule.model_copy(update={"study": f"{claim.id}_{i}", "where": {}, "scope": None})
            for i, rule in enumerate(claim.rules)
        ]
        entries.append(claim.model_copy(update={"rules": rules, "scope": scope}))
    return register.model_copy(update={"entries": entries})


def false_entries(register: Register, world: World) -> dict[str, set[str]]:
    """Entries whose primary reading is false in a world, with the data sets on which it is.

    Some rule of it asks for an effect that is not there. (An entry that holds on other data sets alone may be
    called partly supported.)
    """
    false: dict[str, set[str]] = {}
    for claim in register.entries:
        if any(r.reading != "strong" and r.kind not in FREE for r in claim.rules):
            scope = list(claim.scope or ARCHIVES)
            if world.effect == 0.0:
                false[claim.id] = set(scope)
            elif world.one_null and _null_rule(register, claim.id) is not None:
                false[claim.id] = {scope[0]}
    return false


def _null_rule(register: Register, entry: str) -> int | None:
    """The rule of an entry that has no effect in a world with one null: the first that asks for one."""
    claim = next(claim for claim in register.entries if claim.id == entry)
    asks = [
        i
        for i, r in enumerate(claim.rules)
        if r.reading != "strong" and r.kind not in FREE and kind_of(r).has_parts
    ]
    # "Any" and "more than half" hold where one place fails.
    return asks[0] if asks and claim.rules[asks[0]].combine == "all" else None


def records_of(
    register: Register, notebook: str, world: World, generator: np.random.Generator
) -> pd.DataFrame:
    """Tidy records of all rules of a notebook."""
    parts = [
        part
        for claim in register.of(notebook)
        for i, rule in enumerate(claim.rules)
        for part in _records(register, claim, i, rule, world, generator)
    ]
    if not parts:
        return pd.DataFrame()
    frame = pd.concat(parts, ignore_index=True)
    names = {"source_domain": "", "target_domain": "", "synthetic": False, "configuration": "", "n_test": 100}
    return frame.assign(key=[f"{study}/{i}" for i, study in enumerate(frame["study"])], **names)


def _records(
    register: Register, claim: Claim, i: int, rule: Rule, world: World, generator: np.random.Generator
) -> Iterator[pd.DataFrame]:
    noise = [f"noise_{n}" for n in range(world.noise_archives)]
    for place, archive in enumerate([*(claim.scope or ARCHIVES), *noise]):
        null = archive in noise or (world.one_null and i == _null_rule(register, claim.id) and place == 0)
        effect = 0.0 if null else world.effect
        if not kind_of(rule).has_parts and rule.control is None:
            effect *= place  # data sets that differ
        for strata in product(STRATA, repeat=len(rule.by)):
            factors = dict(zip(rule.by, strata, strict=True))
            found = _measured(rule, effect, world, generator)
            yield found.assign(study=rule.study, dataset=archive, **factors)


def _measured(rule: Rule, effect: float, world: World, generator: np.random.Generator) -> pd.DataFrame:
    """One place of a rule: every arm, seed and level, with the effect (in sd) in the direction stated."""
    if rule.tolerance is not None:
        bound = {"<": -1.0, ">": 1.0}.get(rule.tolerance.op, 0.0)
        return _rows(rule, [("identity" if rule.treatment is None else rule.treatment, 0, None,
                             rule.tolerance.value + bound)])  # fmt: skip
    levels = LEVELS if rule.trend is not None else (None,)
    arms = [rule.treatment] if rule.control is None else [rule.treatment, rule.control]
    sign = 1.0 if rule.direction == "higher" else -1.0
    sd, free = spread_of(rule), rule.kind in FREE
    null = (rule.margin or 0.0) if rule.kind == "at_least" else 0.0
    rows = []
    base = BASE if rule.kind != "at_least" or rule.control is not None else 0.0
    alone = 1.0 if rule.control is None else 0.5**0.5
    for arm in arms:
        # Data sets are compared over splits that are drawn anew for each seed, so that these share no cases.
        several = 1 if kind_of(rule).has_parts or rule.control is not None else world.seeds
        cases = generator.normal(0, world.case_ratio * sd * alone, (len(levels), several))
        for level, (place, shared) in zip(levels, enumerate(cases), strict=True):
            seeds = sd * _between_seeds(world, generator) * alone
            up = 0.0
            if arm == rule.treatment:
                up = (0.0 if free else sign * effect * sd) * (place if rule.trend is not None else 1.0)
                up += null if rule.control is None else sign * null
            rows += [(arm, s, level, base + up + value) for s, value in enumerate(seeds + shared)]
    if rule.trend is not None and rule.trend.value_scale == "log":
        rows = [(arm, s, level, float(np.exp(value))) for arm, s, level, value in rows]
    return _rows(rule, rows)


def spread_of(rule: Rule) -> float:
    """Standard deviation between seeds of a difference: an effect of three is beyond the margin.

    Where arms are to be equal it is a third of the margin inside which they count as equal.
    """
    if rule.kind in FREE:
        return (rule.margin or SD) / 3
    return max(SD, rule.margin or 0.0)


def _between_seeds(world: World, generator: np.random.Generator) -> np.ndarray:
    if not world.skewed:
        return generator.normal(0, 1, world.seeds)
    raw = generator.lognormal(0, 1, world.seeds)
    return (raw - np.exp(0.5)) / np.sqrt((np.e - 1) * np.e)


def _rows(rule: Rule, rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["arm", "seed", "level", "value"]).assign(metric=rule.metric)
    if rule.trend is None:
        return frame.drop(columns="level")
    return frame.rename(columns={"level": rule.trend.factor})


class KnownCases:
    """In place of `CaseIntervals`: what a bootstrap finds in a world whose spread of cases is known."""

    def __init__(self, register: Register, world: World) -> None:
        self._world = world
        self._spread: dict[str, float] = {}
        for claim in register.entries:
            self._spread |= {rule.study: spread_of(rule) for rule in claim.rules}

    def resamples(self, metric: str) -> bool:
        """Every metric of a world has cases."""
        return True

    def interval(self, contrast: Contrast) -> Interval:
        """As the package makes it, from draws in which all seeds of a trial move together."""
        columns = contrast.effects.shape[1]
        generator = np.random.default_rng(int(contrast.name, 16))
        study = contrast.keys[0][0][0].partition("/")[0]
        moved = generator.normal(0, self._world.case_ratio * self._spread[study], (DRAWS, 1, columns))
        drawn = contrast.summary(contrast.effects + moved)
        return interval_of_draws(contrast.summary(contrast.effects), drawn, RAREST)
