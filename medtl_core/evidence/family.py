"""The families of tests of a notebook, and Holm's correction in each.

A family is fixed by the register, not by what was run: an entry or a data set without records counts with a p
value of 1, so that a further archive, arm or seed never changes another entry's word.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medtl_core.evaluation.statistics import holm
from medtl_core.evidence.reading import Reading
from medtl_core.evidence.words import PValues


@dataclass(frozen=True)
class Adjusted:
    """An entry in its families.

    `whole` is the p value of its primary reading, `each` those of its data sets, before any correction.
    `holds`: adjusted p value of its primary reading. `factor`: by how much Holm multiplies that p value at
    its place in the order, hence also those of its rules, data sets and strata. `parts`: adjusted p values of
    each data set. `strong_parts`: the same of the strong reading, for its opposite alone.
    """

    whole: float
    each: dict[str, PValues]
    holds: float
    factor: int
    parts: dict[str, PValues]
    strong_parts: dict[str, PValues]


def adjust(entries: Mapping[str, tuple[Reading, Reading | None]]) -> dict[str, Adjusted]:
    """Holm's correction over the entries of a notebook that have an empirical primary reading.

    Five families, each at the level of one: whole scopes, then per data set the hypothesis, its opposite and
    "smaller than what matters", then the opposites of strong readings. MedtlError as `holm`.
    """
    names = list(entries)
    whole = [entries[name][0].holds() for name in names]
    parts = {name: _parts(entries[name][0]) for name in names}
    strong = {name: _parts(entries[name][1]) for name in names}
    adjusted_parts, adjusted_strong = _adjust_parts(parts), _adjust_parts(strong)
    factors = _factors(whole)
    return {
        name: Adjusted(whole[i], parts[name], p, factors[i], adjusted_parts[name], adjusted_strong[name])
        for i, (name, p) in enumerate(zip(names, holm(whole), strict=True))
    }


def _parts(reading: Reading | None) -> dict[str, PValues]:
    return {} if reading is None else {name: reading.part(name) for name in reading.part_names()}


def _adjust_parts(parts: Mapping[str, Mapping[str, PValues]]) -> dict[str, dict[str, PValues]]:
    places = [(entry, name) for entry, found in parts.items() for name in found]
    columns = [holm([parts[entry][name][i] for entry, name in places]) for i in range(3)]
    adjusted: dict[str, dict[str, PValues]] = {entry: {} for entry in parts}
    for (entry, name), *p in zip(places, *columns, strict=True):
        adjusted[entry][name] = PValues(*p)
    return adjusted


def _factors(p_values: Sequence[float]) -> list[int]:
    """Holm's multiplier of each p value: how many are at least as large as it, of equal ones all."""
    return [sum(other >= p for other in p_values) for p in p_values]
