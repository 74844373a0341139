"""From many verdicts to one: strata into a data set, data sets into a rule, rules into an entry."""

from collections.abc import Mapping, Sequence
from typing import Literal

Verdict = Literal[
    "supported",
    "supported with conditions",
    "not supported",
    "contradicted",
    "inconclusive",
    "literature only",
    "not testable here",
    "pending",
]
ORDER: tuple[Verdict, ...] = (
    "supported", "supported with conditions", "inconclusive", "not supported", "contradicted",
)  # fmt: skip


def combine(verdicts: Sequence[Verdict], how: Literal["all", "majority", "any"]) -> Verdict:
    """One verdict for several strata, data sets or rules.

    all: supported where every one is; majority: where more than half are; any: where one is. Short of that, a
    statement that holds somewhere and not elsewhere is `supported with conditions`; but one that fails
    (`not supported`, `contradicted`) in more than half is not saved by a minority under `majority`. Where it
    holds nowhere: `contradicted` or `not supported` where one (all), more than half (majority) or every one
    (any) says so, else `inconclusive`.
    """
    n = len(verdicts)
    supported, conditional = verdicts.count("supported"), verdicts.count("supported with conditions")
    contradicted, failed = (
        verdicts.count("contradicted"),
        verdicts.count("contradicted") + verdicts.count("not supported"),
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


def summarise_by_verdict(verdicts: Mapping[str, Verdict]) -> str:
    """Which say what: `supported on a, b; inconclusive on c`."""
    if len(set(verdicts.values())) == 1:
        return f"{next(iter(verdicts.values()))} on {', '.join(verdicts)}"
    parts = [(verdict, [name for name, found in verdicts.items() if found == verdict]) for verdict in ORDER]
    return "; ".join(f"{verdict} on {', '.join(names)}" for verdict, names in parts if names)
