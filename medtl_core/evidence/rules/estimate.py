"""What one data set and stratum say about a rule: an effect with its interval, or an extreme value."""

from dataclasses import dataclass
from typing import Any

from medtl_core.evaluation.statistics import Interval
from medtl_core.evidence.pairing import Stratum
from medtl_core.evidence.words import PValues


@dataclass(frozen=True)
class Estimate:
    """What one data set and stratum say about a rule.

    `dataset` is the name shown, `archive` that of the data set alone. `interval` (95 %) is None below two
    seeds; of an interval over seeds and one over seeds and cases it is the wider. `seeds` are paired and
    complete, `excluded` were not. `p_values` are unadjusted, the larger of those over seeds and over seeds
    and cases; None: not tested, and `note` says why. `cases`: whether the interval speaks of new cases too,
    None where cases have no part in the metric. `n_test` is the number of test cases. `synthetic` says that
    the data are made up; `settings` names what tells this configuration from others that are judged apart. A
    kind that looks at single values sets `met` and `extremes` (worst, least, greatest value) instead, and
    counts values in `seeds`.
    """

    dataset: str
    archive: str
    stratum: dict[str, Any]
    interval: Interval | None
    seeds: int
    excluded: int
    p_values: PValues | None = None
    cases: bool | None = None
    n_test: int | None = None
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
            stratum.archive,
            stratum.levels,
            interval,
            seeds,
            excluded,
            n_test=stratum.n_test,
            synthetic=stratum.synthetic,
            settings=tuple(stratum.settings),
            **found,
        )


def describe(interval: Interval) -> str:
    """An interval in words: estimate, 95 % limits, seeds."""
    return f"{interval.estimate:+.3g} [{interval.low:+.3g}, {interval.high:+.3g}] over {interval.n} seeds"
