"""Writes tests/evidence/README.md; from the project: `python -m tests.evidence.simulation [DRAWS]`."""

import sys
from pathlib import Path

from medtl_core.evidence.register import load_register
from tests.evidence.simulation.ideal import families, ideal_power
from tests.evidence.simulation.ledgers import tally
from tests.evidence.simulation.world import World

README = Path(__file__).parents[1] / "README.md"
PAGE = Path(__file__).with_name("page.md")
RATIOS, SEEDS = (0.0, 0.7, 2.0, 5.0), (5, 10, 20)
PLACES_AT = (0.7, 10)  # the world whose power is told by the number of places
OTHERS = {
    "one rule of each entry has no effect on one data set, all others a huge one; spread 0": World(
        10, 0.0, effect=20, one_null=True
    ),
    "the same, spread 2": World(10, 2.0, effect=20, one_null=True),
    "no effect, differences between seeds lognormal, spread .7": World(10, 0.7, skewed=True),
}


def main(draws: int) -> None:
    """Simulate all worlds and write the page."""
    register = load_register()

    def error(world: World) -> str:
        return short(f"{tally(register, world, draws).error:.3f}")

    nulls = [[f"{ratio:g}", *(error(World(seeds, ratio)) for seeds in SEEDS)] for ratio in RATIOS]
    others = [[name, error(world)] for name, world in OTHERS.items()]
    tallies = {
        (r, seeds): tally(register, World(seeds, r, effect=3.0), draws) for r in RATIOS[:3] for seeds in SEEDS
    }
    structure = families(register)
    best = {(r, seeds): ideal_power(structure, seeds, r) for r, seeds in tallies}

    def row(ratio: float) -> list[str]:
        told = [(tallies[ratio, n].found, best[ratio, n]) for n in SEEDS]
        return [f"{ratio:g}", *(f"{share(found)} ({share(b.total() / a.total())})" for found, (a, b) in told)]

    middle, (asked, most) = tallies[PLACES_AT], best[PLACES_AT]
    by_places = [
        [str(n), str(sum(entry == n for family in structure for entry in family)),
         share(middle.supported[n] / middle.asked[n]), share(most[n] / asked[n])]
        for n in sorted(asked)
    ]  # fmt: skip
    head = ["case to seed spread", *(f"{seeds} seeds" for seeds in SEEDS)]
    text = PAGE.read_text(encoding="utf-8").format(
        draws=draws,
        ledgers=tally(register, World(5, 0.0), 1).ledgers * draws,
        nulls=table(head, nulls),
        others=table(["world", "wrong"], others),
        power=table(head, [row(ratio) for ratio in RATIOS[:3]]),
        places=table(["places", "entries", "found", "z tests"], by_places),
    )
    README.write_text(text, encoding="utf-8")


def share(value: float) -> str:
    """.83, not 0.83."""
    return short(f"{value:.2f}")


def short(text: str) -> str:
    """.05, not 0.05."""
    return text.removeprefix("0")


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 40)
