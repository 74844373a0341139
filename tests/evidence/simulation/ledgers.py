"""Many ledgers of a world, and how often they say what is not so."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from medtl_core.evidence.register import Register
from medtl_core.evidence.verdict import EntryVerdict, judge_entries
from tests.evidence.simulation.world import KnownCases, World, false_entries, private_studies, records_of


@dataclass(frozen=True)
class Tally:
    """Of `ledgers` (one a notebook and draw): how many hold a false word, and the share of entries found."""

    ledgers: int
    wrong: int
    found: float

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
    ledgers = wrong = found = asked = 0
    for verdicts in ledgers_of(register, world, draws, seed):
        ledgers += 1
        wrong += any(_says_too_much(v, false[v.claim.id]) for v in verdicts if v.claim.id in false)
        judged = [v for v in verdicts if v.p_adjusted is not None and v.claim.id not in false]
        found += sum(v.verdict == "supported" for v in judged)
        asked += len(judged)
    return Tally(ledgers, wrong, found / asked if asked else float("nan"))
