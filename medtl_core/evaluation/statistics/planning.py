"""How many seeds or test cases a comparison needs before its test finds an effect of a given size."""

from bisect import bisect_left
from dataclasses import dataclass

from medtl_core.errors import MedtlError
from medtl_core.evaluation.statistics.intervals import Interval
from medtl_core.evaluation.statistics.power import power_one_sided_t

MOST_SEEDS = 1000
MOST_TIMES = 1_000_000
"""Beyond so many times the size of a study nothing is planned."""


@dataclass(frozen=True)
class Size:
    """A study's size; `cases` in the test set, None where cases have no part in the comparison."""

    seeds: int
    cases: int | None


def size_needed(
    interval: Interval, cases: int | None, distance: float, level: float, power: float = 0.8
) -> Size | None:
    """The least that a one-sided t-test at `level` needs to find an effect with `power`.

    More seeds alone if they are enough (`MOST_SEEDS` at most), else more test cases alone, else more of both,
    so that each causes about half of the variance that is left. The variance between seeds falls as seeds are
    added, the rest of the variance as test cases are, which all seeds share; the degrees of freedom rise
    likewise. None where no size is enough.

    Args:
        interval: what was measured, over seeds alone or over seeds and test cases.
        cases: in the test set; None where the metric does not depend on which cases are drawn.
        distance: of the effect from the null hypothesis, in the metric's unit, above 0.
    """
    if not distance > 0:
        raise MedtlError(f"distance: {distance} found, expected a number above 0 in the metric's unit")
    parts = _Variance.of(interval)

    def finds(seeds: float, times_cases: float, effect: float = distance) -> bool:
        error, degrees = parts.at(seeds, times_cases)
        return power_one_sided_t(effect, error, degrees, level) >= power

    here = interval.n
    if finds(MOST_SEEDS, 1):
        return Size(2 + bisect_left(range(2, MOST_SEEDS), True, key=lambda seeds: finds(seeds, 1)), cases)
    if cases and finds(here, MOST_TIMES):
        first = bisect_left(range(cases * MOST_TIMES), True, cases, key=lambda n: finds(here, n / cases))
        return Size(here, first)
    if not cases or not finds(here * MOST_TIMES, MOST_TIMES):
        return None
    half = distance / 2**0.5
    seeds = bisect_left(range(here * MOST_TIMES), True, here, key=lambda n: finds(n, MOST_TIMES, half))
    first = bisect_left(range(cases * MOST_TIMES), True, cases, key=lambda n: finds(seeds, n / cases))
    return Size(seeds, first)


@dataclass(frozen=True)
class _Variance:
    """Of an estimate: `seeds` is that of one seed, `cases` that of this test set, with its degrees."""

    seeds: float
    cases: float
    case_degrees: float

    @classmethod
    def of(cls, interval: Interval) -> "_Variance":
        of_seeds = interval.sd**2 / interval.n
        of_cases = max(interval.standard_error**2 - of_seeds, 0.0)
        # Satterthwaite's formula solved for what the cases add.
        rest = interval.standard_error**4 / interval.degrees_of_freedom - of_seeds**2 / (interval.n - 1)
        degrees = of_cases**2 / rest if rest > 0 and of_cases else float("inf")
        return cls(interval.sd**2, of_cases, degrees)

    def at(self, seeds: float, times_cases: float) -> tuple[float, float]:
        """Standard error and degrees of freedom with other numbers of seeds and test cases."""
        of_seeds, of_cases = self.seeds / seeds, self.cases / times_cases
        variance = of_seeds + of_cases
        spread = of_seeds**2 / (seeds - 1) + of_cases**2 / (self.case_degrees * times_cases)
        return variance**0.5, variance**2 / spread if spread else float("inf")
