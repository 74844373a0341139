"""Many ledgers of a world, and how often they say what is not so."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from medtl_core.evidence.register import Register
from medtl_core.evidence.verdict import EntryVerdict, judge_entries
from tests.evidence.simulation.world import KnownCases, World, false_entries, private_studies, records_of


@dataclass(frozen=True)
class Tally:
    """Of `ledgers` (one a notebook and draw): how many hold a false word, and which true entries are found.

    `asked` and `supported` count entries by their places: rules times data sets times strata that must hold.
    """

    ledgers: int
    wrong: int
    asked: Counter[int] = field(default_factory=Counter)
    supported: Counter[int] = field(default_factory=Counter)

    @property
    def found(self) -> float:
        """Share of the entries whose statement is true that come out `supported`."""
        return self.supported.total() / self.asked.total() if self.asked else float("nan")

    @property
    def error(self) -> float:
        """Share of ledgers with at least one false `supported` or `partly supported`."""
        return self.wrong / self.ledgers


def ledgers_of(register: Register, world: World, draws: int, seed: int) -> Iterator[list[EntryVerdict]]:
    """One ledger for each notebook and draw."""
    own = private_studies(register)
    notebooks = sorted({claim.notebook for claim in own.entries if claim.rules and claim.notebook})
    for draw in range(draws):
        for k, notebook in enumerate(notebooks):
            generator = np.random.default_rng([seed, draw, k])
            frame = records_of(own, notebook, world, generator)
            yield judge_entries(own, {notebook: frame}, KnownCases(own, world), notebook)  # type: ignore[arg-type]


def _says_too_much(verdict: EntryVerdict, false_on: set[str]) -> bool:
    there = {name for name, word in verdict.parts.items() if word == "supported"}
    return verdict.verdict == "supported" or (
        verdict.verdict == "partly supported" and bool(there & false_on)
    )


def tally(register: Register, world: World, draws: int, seed: int = 0) -> Tally:
    """Judge a world many times over."""
    false = false_entries(register, world)
    ledgers = wrong = 0
    asked, supported = Counter[int](), Counter[int]()
    for verdicts in ledgers_of(register, world, draws, seed):
        ledgers += 1
        wrong += any(_says_too_much(v, false[v.claim.id]) for v in verdicts if v.claim.id in false)
        judged = [v for v in verdicts if v.p_adjusted is not None and v.claim.id not in false]
        asked.update(places_of(v) for v in judged)
        supported.update(places_of(v) for v in judged if v.verdict == "supported")
    return Tally(ledgers, wrong, asked, supported)


def places_of(verdict: EntryVerdict) -> int:
    """In how many places the primary reading of an entry must hold: rules, data sets and strata."""
    primary = [judged for judged in verdict.rules if judged.rule.reading != "strong"]
    return sum(len(found.strata) for judged in primary for found in judged.datasets.values())
