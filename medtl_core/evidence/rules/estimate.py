"""What one data set and stratum say about a rule: an effect with its interval, or an extreme value."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from medtl_core.evaluation.statistics import Interval, detectable_effect
from medtl_core.evidence.pairing import Stratum


@dataclass(frozen=True)
class Estimate:
    """What one data set and stratum say about a rule.

    `interval` (95 %) is None below two seeds; `seeds` are paired and complete, `excluded` were not; `p_for`
    and `p_against` are the p values for the rule's hypothesis and for its opposite, unadjusted (None: not
    tested); `detectable` is the effect found with power .8; `synthetic` says that the data are made up;
    `settings` names what tells this configuration from others that are judged apart. A kind that looks at
    single values sets `met` and `extremes` (worst, least, greatest value) instead, and
    counts values in `seeds`.
    """

    dataset: str
    stratum: dict[str, Any]
    interval: Interval | None
    seeds: int
    excluded: int
    p_for: float | None = None
    p_against: float | None = None
    detectable: float | None = None
    met: bool | None = None
    extremes: tuple[float, float, float] | None = None
    note: str = ""
    synthetic: bool = False
    settings: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, stratum: Stratum, interval: Interval | None, seeds: int, excluded: int = 0, **found: Any
    ) -> "Estimate":
        """The estimate of a stratum, which says where it was taken and whether its data are synthetic."""
        return cls(
            stratum.dataset,
            stratum.levels,
            interval,
            seeds,
            excluded,
            synthetic=stratum.synthetic,
            settings=tuple(stratum.settings),
            **found,
        )


def detectable(interval: Interval) -> float:
    """The effect that a test of as many seeds, equally spread, finds with power .8, in the metric's unit."""
    return _detectable_ratio(interval.n) * interval.standard_error * interval.n**0.5


@cache
def _detectable_ratio(seeds: int) -> float:
    return detectable_effect(1.0, seeds)


def describe(interval: Interval) -> str:
    """An interval in words: estimate, 95 % limits, seeds."""
    return f"{interval.estimate:+.3g} [{interval.low:+.3g}, {interval.high:+.3g}] over {interval.n} seeds"
