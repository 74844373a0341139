"""What a figure, a table and a sentence are made from: values by seed, for each group and arm."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import pandas as pd

from medtl_core.errors import MedtlError
from medtl_core.evaluation.statistics import Interval, mean_t, paired_t
from medtl_core.evidence.pairing import factors_of
from medtl_core.evidence.record import Record, to_frame
from medtl_core.reporting.places import PLACE, with_places
from medtl_core.reporting.style import words

Records: TypeAlias = pd.DataFrame | Iterable[Record]

_NOTHING: tuple[dict[int, float], str] = ({}, "")
_NEEDED = ("arm", "seed", "metric", "value")


@dataclass(frozen=True)
class Summary:
    """Values of one arm, or differences of one pair, in one group.

    `group` maps the names in `by` to their levels; `values` maps seeds to numbers in the metric's unit;
    `interval` is the 95 % t-interval over seeds, None for fewer than two; `note` says what is missing.
    """

    group: dict[str, Any]
    arms: tuple[str, ...]
    values: dict[int, float]
    interval: Interval | None
    note: str

    @property
    def mean(self) -> float:
        """Mean over seeds; NaN where nothing was measured."""
        return sum(self.values.values()) / len(self.values) if self.values else math.nan

    @property
    def low(self) -> float:
        """Lower end of the interval; NaN where there is none."""
        return self.interval.low if self.interval else math.nan

    @property
    def high(self) -> float:
        """Upper end of the interval; NaN where there is none."""
        return self.interval.high if self.interval else math.nan


@dataclass(frozen=True)
class Selection:
    """Records of one metric, with the columns that keep their groups apart."""

    frame: pd.DataFrame
    metric: str
    by: list[str]
    averaged: list[str]
    labels: dict[str, str] | None

    @property
    def arms(self) -> list[str]:
        """The arms, in the order of the records."""
        return list(dict.fromkeys(self.frame["arm"]))

    @property
    def direction(self) -> str:
        """Whether `higher` or `lower` is better; empty where the records do not say."""
        return str(self.frame["direction"].iloc[0]) if "direction" in self.frame else ""

    def groups(self) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
        """Each combination of levels, in the order of the records, and what was measured there."""
        if not self.by:
            yield {}, self.frame
            return
        for levels, part in self.frame.groupby(self.by, sort=False, dropna=False):
            yield dict(zip(self.by, levels, strict=True)), part

    def by_arm(self, part: pd.DataFrame) -> dict[str, tuple[dict[int, float], str]]:
        """For each arm its value by seed, averaged over `averaged` alone, and in words what is missing."""
        seeds: dict[str, dict[int, list[float]]] = {}
        for arm, seed, value in sorted(zip(part["arm"], part["seed"], part["value"], strict=True)):
            seeds.setdefault(arm, {}).setdefault(int(seed), []).append(float(value))
        wanted = len(part[self.averaged].drop_duplicates()) if self.averaged else 1
        found = {}
        for arm, cells in seeds.items():
            whole = {seed: sum(values) / wanted for seed, values in cells.items() if len(values) == wanted}
            lacking = sorted(cells.keys() - whole.keys())
            note = f"{_seeds(lacking)} left out: not every {' and '.join(self.averaged)}" if lacking else ""
            found[arm] = (whole, note)
        return found


def select(
    records: Records,
    metric: str,
    *,
    by: str | Sequence[str] = (),
    average_over: str | Sequence[str] = (),
    arms: Sequence[str] | None = None,
    labels: dict[str, str] | None = None,
) -> Selection:
    """Records of one metric (and of `arms`), in groups by `by`.

    Several data sets, domains or configurations always are groups (`places.with_places`). MedtlError where
    the metric or a factor was not recorded, where a factor with several levels is in neither `by` nor
    `average_over`, and where a seed has two values.
    """
    frame = records if isinstance(records, pd.DataFrame) else to_frame(records)
    by = [by] if isinstance(by, str) else list(by)
    averaged = [average_over] if isinstance(average_over, str) else list(average_over)
    if lacking := [name for name in _NEEDED if name not in frame]:
        raise MedtlError(
            f"records: no column {lacking[0]!r}, expected a table of records as Study.run returns"
        )
    chosen = frame[frame["metric"] == metric]
    if chosen.empty:
        known = ", ".join(sorted(set(frame["metric"]))) or "none"
        raise MedtlError(f"metric {metric!r}: not in these records, which hold: {known}")
    if arms is not None:
        chosen = chosen[chosen["arm"].isin(arms)]
        if chosen.empty:
            known = ", ".join(dict.fromkeys(frame["arm"]))
            raise MedtlError(f"arms {', '.join(arms)}: none in these records, which hold: {known}")
    for name in (*by, *averaged):
        if name not in chosen:
            known = ", ".join(factors_of(frame)) or "none"
            raise MedtlError(f"factor {name!r}: not in these records, whose factors are: {known}")
    chosen, by = with_places(chosen, by, labels)
    _refuse_mixed_levels(chosen, by, averaged)
    return Selection(chosen, metric, by, averaged, labels)


def arm_summaries(selection: Selection, arms: Sequence[str] | None = None) -> list[Summary]:
    """A summary for each group and arm. Arms that are named get one in each group, measured or not."""
    found = []
    for group, part in selection.groups():
        by_arm = selection.by_arm(part)
        for arm in arms if arms is not None else dict.fromkeys(part["arm"]):
            values, note = by_arm.get(arm, _NOTHING)
            interval = mean_t(list(values.values())) if len(values) > 1 else None
            found.append(Summary(group, (arm,), values, interval, note or _how_many(values, "not measured")))
    return found


def pair_summaries(selection: Selection, pairs: Sequence[tuple[str, str]]) -> list[Summary]:
    """Treatment - control within each seed, for each group and pair; what could not be paired is said."""
    found = []
    for group, part in selection.groups():
        by_arm = selection.by_arm(part)
        for treatment, control in pairs:
            names = [words(arm, selection.labels) for arm in (treatment, control)]
            treated, first = by_arm.get(treatment, _NOTHING)
            compared, second = by_arm.get(control, _NOTHING)
            seeds = sorted(treated.keys() & compared.keys())
            values = {seed: treated[seed] - compared[seed] for seed in seeds}
            a, b = [treated[seed] for seed in seeds], [compared[seed] for seed in seeds]
            interval = paired_t(a, b) if len(seeds) > 1 else None
            notes = [first, second, *_unpaired(treated, compared, names)]
            if treated and compared:
                notes.append(_how_many(values, "no seed in common"))
            found.append(
                Summary(group, (treatment, control), values, interval, "; ".join(n for n in notes if n))
            )
    return found


def _unpaired(
    treated: Mapping[int, float], compared: Mapping[int, float], names: Sequence[str]
) -> Iterator[str]:
    for mine, other, name in ((treated, compared, names[0]), (compared, treated, names[1])):
        if not mine:
            yield f"{name} was not measured"
        elif lacking := sorted(other.keys() - mine.keys()):
            yield f"{_seeds(lacking)} left out: no {name}"


def _how_many(values: Mapping[int, float], none: str) -> str:
    return {0: none, 1: "one seed: no interval"}.get(len(values), "")


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(str(seed) for seed in seeds)}"


def _refuse_mixed_levels(chosen: pd.DataFrame, by: list[str], averaged: list[str]) -> None:
    apart = {*by, *averaged, PLACE}
    for name in factors_of(chosen):
        levels = list(dict.fromkeys(chosen[name].dropna())) if name not in apart else []
        if len(levels) > 1:
            shown = ", ".join(f"{level:g}" if isinstance(level, float) else str(level) for level in levels)
            raise MedtlError(
                f"factor {name!r} has the levels {shown}: choose the records of one, or name it in by= or "
                "average_over="
            )
    twice = chosen.duplicated([*by, *averaged, "arm", "seed"])
    if twice.any():
        first = chosen[twice].iloc[0]
        raise MedtlError(
            f"arm {first['arm']!r}, seed {first['seed']}: two values, expected one; the records are of "
            "several studies: choose those of one"
        )
