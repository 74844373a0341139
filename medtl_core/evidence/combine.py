"""From many words to one: strata into a data set, data sets into a rule, rules into an entry."""

from collections.abc import Mapping, Sequence
from typing import Literal

from medtl_core.evidence.decision import Word

ORDER: tuple[Word, ...] = (
    "supported", "supported with conditions", "inconclusive", "not supported", "contradicted",
)  # fmt: skip


def combine(words: Sequence[Word], how: Literal["all", "majority", "any"]) -> Word:
    """One word for several strata, data sets or rules.

    all: supported where every one is; majority: where more than half are; any: where one is. Short of that, a
    statement that holds somewhere and not elsewhere is `supported with conditions`; but one that fails
    (`not supported`, `contradicted`) in more than half is not saved by a minority under `majority`. Where it
    holds nowhere: `contradicted` or `not supported` where one (all), more than half (majority) or every one
    (any) says so, else `inconclusive`.
    """
    n = len(words)
    supported, conditional = words.count("supported"), words.count("supported with conditions")
    contradicted, failed = (
        words.count("contradicted"),
        words.count("contradicted") + words.count("not supported"),
    )
    enough = {"all": n, "majority": n // 2 + 1, "any": 1}[how]
    if supported >= enough:
        return "supported"
    fails = {"all": 1, "majority": n // 2 + 1, "any": n}[how]
    holds_somewhere = supported + conditional > 0
    if holds_somewhere and not (how == "majority" and failed >= fails):
        return "supported with conditions"
    if contradicted >= fails:
        return "contradicted"
    return "not supported" if failed >= fails else "inconclusive"


def grouped(words: Mapping[str, Word]) -> str:
    """Which say what: `supported on a, b; inconclusive on c`."""
    if len(set(words.values())) == 1:
        return f"{next(iter(words.values()))} on {', '.join(words)}"
    parts = [(word, [name for name, found in words.items() if found == word]) for word in ORDER]
    return "; ".join(f"{word} on {', '.join(names)}" for word, names in parts if names)
