"""Existence: a superiority that need hold in one place only."""

from collections.abc import Sequence

from medtl_core.evidence.conjunction import p_of, p_of_failure
from medtl_core.evidence.rule import Rule
from medtl_core.evidence.rules.superiority import Superiority
from medtl_core.evidence.words import PValues


class Existence(Superiority):
    """Holds where any place shows it; the opposite in all places searched would not refute that it exists."""

    name = "existence"
    has_parts = False
    one_place_is_enough = True

    def over_places(self, rule: Rule, places: Sequence[PValues]) -> PValues:
        """One place suffices; too small is said where it is too small in every place searched."""
        holds, opposite, smaller = zip(*places, strict=True)
        too_small = [min(one, other) for one, other in zip(opposite, smaller, strict=True)]
        return PValues(p_of(holds, "any"), 1.0, p_of_failure(too_small, "any"))


KIND = Existence()
