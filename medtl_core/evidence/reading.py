"""One reading of an entry: a conjunction over its rules, the data sets of its scope and their strata."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from medtl_core.evidence.conjunction import p_of, p_of_failure
from medtl_core.evidence.rule import Rule
from medtl_core.evidence.rules.estimate import Estimate
from medtl_core.evidence.rules.kinds import kind_of
from medtl_core.evidence.words import UNTESTED, PValues

WHOLE = ""


@dataclass(frozen=True)
class Measured:
    """A rule, its estimates everywhere, and the data sets that decide it.

    `scope` None: whatever was measured decides. `at_once` is the p value over all data sets, with its words,
    of a kind that looks at all of them together.
    """

    rule: Rule
    estimates: list[Estimate]
    scope: tuple[str, ...] | None
    synthetic_is_evidence: bool
    frame: pd.DataFrame | None = field(default=None, repr=False, compare=False)

    @property
    def archives(self) -> list[str]:
        """The data sets that decide: the scope, or those measured that are evidence."""
        if self.scope is not None:
            return list(self.scope)
        return list(dict.fromkeys(e.archive for e in self.estimates if self.eligible(e)))

    def eligible(self, estimate: Estimate) -> bool:
        """Whether an estimate is evidence: made-up data are none about images."""
        return self.synthetic_is_evidence or not estimate.synthetic

    def deciding(self, archive: str) -> list[Estimate]:
        """The estimates of a data set that decide."""
        return [e for e in self.estimates if e.archive == archive and self.eligible(e)]

    @property
    def measured(self) -> bool:
        """Whether anything that decides was measured."""
        return any(self.deciding(archive) for archive in self.archives)

    def broken(self) -> bool:
        """Whether it is an identity that was found broken."""
        return any(e.met is False for archive in self.archives for e in self.deciding(archive))

    def part(self, archive: str) -> PValues:
        """p values on one data set, over its strata; 1 where nothing was tested."""
        found = [e.p_values or UNTESTED for e in self.deciding(archive)]
        return kind_of(self.rule).over_places(self.rule, found) if found else UNTESTED

    def at_once(self) -> tuple[float, str] | None:
        """p value and words over all deciding data sets, of a kind that looks at them together."""
        eligible = [a for a in self.archives if self.deciding(a)]
        if self.frame is None or not eligible:
            return None
        return kind_of(self.rule).over_datasets(self.rule, self.frame, eligible)

    def whole(self) -> PValues:
        """p values over all data sets that decide."""
        if (at_once := self.at_once()) is not None:
            return PValues(at_once[0], 1.0, 1.0)
        if not self.archives:
            return UNTESTED
        return kind_of(self.rule).over_places(self.rule, [self.part(archive) for archive in self.archives])


@dataclass(frozen=True)
class Reading:
    """p values of a conjunction of rules: on the whole scope, and on each data set by itself.

    A reading that speaks of all data sets together has no parts but the whole, by the name `""`.
    """

    rules: tuple[Measured, ...]

    @property
    def tested(self) -> list[Measured]:
        """The rules that chance enters."""
        return [m for m in self.rules if kind_of(m.rule).tests]

    @property
    def measured(self) -> bool:
        """Whether anything that decides was measured."""
        return any(m.measured for m in self.rules)

    @property
    def complete(self) -> bool:
        """Whether every identity was checked; one that was not leaves the reading open."""
        return all(m.measured for m in self.rules if not kind_of(m.rule).tests)

    @property
    def broken(self) -> bool:
        """Whether an identity among its rules was found broken."""
        return any(m.broken() for m in self.rules)

    def holds(self) -> float:
        """p value of "the statement holds on the whole scope": the largest of its rules."""
        if not self.tested or not self.complete:
            return 1.0
        return p_of([m.whole().holds for m in self.tested], "all")

    def part_names(self) -> list[str]:
        """The data sets that are judged by themselves too, `[""]` where none is."""
        if not all(kind_of(m.rule).has_parts for m in self.tested):
            return [WHOLE]
        return list(dict.fromkeys(archive for m in self.tested for archive in m.archives)) or [WHOLE]

    def part(self, name: str) -> PValues:
        """p values of one data set (of the whole for ""), over the rules that it decides."""
        if name == WHOLE:
            found = [m.whole() for m in self.tested]
        else:
            found = [m.part(name) for m in self.tested if m.scope is None or name in m.archives]
        if not found:
            return UNTESTED
        return PValues(
            p_of([p.holds for p in found], "all") if self.complete else 1.0,
            p_of_failure([p.opposite for p in found], "all"),
            p_of_failure([p.smaller for p in found], "all"),
        )


def readings(measured: Sequence[Measured]) -> tuple[Reading, Reading | None]:
    """The primary reading (main, else weak, else strong) and the strong one beside a weak one."""
    strong = tuple(m for m in measured if m.rule.reading == "strong")
    plain = tuple(m for m in measured if m.rule.reading != "strong")
    if not plain:
        return Reading(strong), None
    return Reading(plain), Reading(strong) if strong else None
