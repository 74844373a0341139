"""What z tests that are told both spreads find, in a register of the same structure."""

from collections import Counter

import numpy as np
from scipy.stats import norm

from medtl_core.evidence.register import Register
from tests.evidence.simulation.ledgers import ledgers_of, places_of
from tests.evidence.simulation.world import World

DRAWS = 2000


def families(register: Register) -> list[list[int]]:
    """For each notebook the places of the entries that it tests."""
    judged = ledgers_of(register, World(5, 0.0, effect=3.0), 1, 0)
    return [[places_of(v) for v in verdicts if v.p_adjusted is not None] for verdicts in judged]


def ideal_power(
    structure: list[list[int]], seeds: int, ratio: float, effect: float = 3.0, level: float = 0.025
) -> tuple[Counter[int], Counter[int]]:
    """How many entries of so many places are asked and found by z tests and Holm's method.

    In units of the spread between seeds a mean difference has the variance 1/seeds + ratio squared, since all
    seeds share the test images.
    """
    asked, found = Counter[int](), Counter[int]()
    generator = np.random.default_rng(0)
    for places in structure:
        if not places:
            continue
        standard_error = (1 / seeds + ratio**2) ** 0.5
        least = [generator.normal(effect / standard_error, 1, (DRAWS, n)).min(axis=1) for n in places]
        p_values = norm.sf(np.column_stack(least))
        order = p_values.argsort(axis=1)
        steps = level / np.arange(len(places), 0, -1)
        in_turn = np.take_along_axis(p_values, order, axis=1) <= steps
        holds = np.zeros_like(in_turn)
        np.put_along_axis(holds, order, np.logical_and.accumulate(in_turn, axis=1), axis=1)
        for n, share in zip(places, holds.sum(axis=0), strict=True):
            asked[n] += DRAWS
            found[n] += int(share)
    return asked, found
