"""Writes tests/evidence/README.md; from the project: `python -m tests.evidence.simulation [DRAWS]`."""

import sys
from pathlib import Path

import numpy as np
from scipy.stats import norm

from medtl_core.evidence.register import load_register
from tests.evidence.simulation.ledgers import tally
from tests.evidence.simulation.world import World

README = Path(__file__).parents[1] / "README.md"
PAGE = Path(__file__).with_name("page.md")
RATIOS, SEEDS = (0.0, 0.7, 2.0, 5.0), (5, 10, 20)
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

    def power(world: World) -> str:
        return short(f"{tally(register, world, draws).found:.2f}")

    nulls = [[f"{ratio:g}", *(error(World(seeds, ratio)) for seeds in SEEDS)] for ratio in RATIOS]
    others = [[name, error(world)] for name, world in OTHERS.items()]
    found = [[f"{r:g}", *(power(World(seeds, r, effect=3.0)) for seeds in SEEDS)] for r in RATIOS[:3]]
    best = [[f"{r:g}", *(short(f"{best_power(seeds, r):.2f}") for seeds in SEEDS)] for r in RATIOS[:3]]
    head = ["case to seed spread", *(f"{seeds} seeds" for seeds in SEEDS)]
    text = PAGE.read_text(encoding="utf-8").format(
        draws=draws,
        ledgers=tally(register, World(5, 0.0), 1).ledgers * draws,
        nulls=table(head, nulls),
        others=table(["world", "wrong"], others),
        power=table(head, found),
        best=table(head, best),
    )
    README.write_text(text, encoding="utf-8")


def best_power(seeds: int, ratio: float, entries: int = 10, places: int = 3, level: float = 0.025) -> float:
    """Share of entries that Holm's method finds where every test is a z test that knows both spreads.

    In units of the spread between seeds a mean difference has the variance 1/seeds + ratio squared, since all
    seeds share the test images; the effect is 3. Each entry must hold in all its places.
    """
    drawn = np.random.default_rng(0).normal(size=(4000, entries, places))
    p_values = norm.sf(3 / np.sqrt(1 / seeds + ratio**2) + drawn).max(axis=2)
    steps = level / np.arange(entries, 0, -1)
    return float(np.logical_and.accumulate(np.sort(p_values, axis=1) <= steps, axis=1).mean())


def short(text: str) -> str:
    """.05, not 0.05."""
    return text.removeprefix("0")


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 40)
