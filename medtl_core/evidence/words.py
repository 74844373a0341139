"""The words of the ledger, and from p values to one of them."""

from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

Verdict = Literal[
    "supported",
    "partly supported",
    "mixed",
    "inconclusive",
    "not supported",
    "contradicted",
    "demonstrated",
    "literature only",
    "not testable here",
    "pending",
]
WORDS: tuple[Verdict, ...] = get_args(Verdict)
UNMEASURED: tuple[Verdict, ...] = ("pending", "literature only", "not testable here")
"""Words of entries that no records decide or leave open."""

SIGNIFICANCE = 0.025
"""Every test is one-sided at this level, so that it agrees with the 95 % interval."""


class PValues(NamedTuple):
    """p values of three hypotheses: the statement's, its opposite, and "smaller than what matters"."""

    holds: float
    opposite: float
    smaller: float

    def times(self, factor: float) -> "PValues":
        """Adjusted by a factor, at most 1."""
        return PValues(*(min(1.0, factor * p) for p in self))

    def word(self) -> Verdict:
        """What these p values, adjusted before, say at the level of significance."""
        if self.holds <= SIGNIFICANCE:
            return "supported"
        if self.opposite <= SIGNIFICANCE:
            return "contradicted"
        return "not supported" if self.smaller <= SIGNIFICANCE else "inconclusive"


UNTESTED = PValues(1.0, 1.0, 1.0)


def word_over_parts(parts: Mapping[str, Verdict]) -> Verdict:
    """The word of an entry that does not hold on the whole of its scope, from those of its data sets.

    mixed: parts disagree, each beyond doubt. partly supported: it holds on some, the rest is open.
    """
    found = set(parts.values())
    failed = found & {"contradicted", "not supported"}
    if found == {"supported"}:
        return "supported"
    if "supported" in found:
        return "mixed" if failed else "partly supported"
    if "contradicted" in failed:
        return "contradicted"
    return "not supported" if failed else "inconclusive"


def by_word(parts: Mapping[str, Verdict]) -> str:
    """Which say what: `supported on a, b; inconclusive on c`."""
    groups = {word: [name for name, found in parts.items() if found == word] for word in WORDS}
    return "; ".join(f"{word} on {', '.join(names)}" for word, names in groups.items() if names)
