"""Looks at a network while it trains: where in its budget it was best, and whether its loss still fell."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from medtl_core.errors import MedtlError

HELD_OUT = "held_out"
"""Entry of a loop's history at the steps at which it looked."""


@dataclass(frozen=True)
class Looks:
    """`times` even looks at a network, the last one after the last step of a loop.

    `score` is taken on labelled cases that the loop does not learn from, of the source where domains differ;
    the higher the better. Looks choose nothing and leave the training as it is.
    """

    score: Callable[[nn.Module], float]
    times: int = 20

    def __post_init__(self) -> None:
        if self.times < 2:
            raise MedtlError(f"looks: times is {self.times}, expected at least 2")

    def at(self, network: nn.Module, step: int, steps: int) -> dict[str, float]:
        """The score after `step` of `steps` (from 1) under the name `HELD_OUT`; nothing between two looks."""
        if step * self.times // steps == (step - 1) * self.times // steps:
            return {}
        return {HELD_OUT: float(self.score(network))}


def best_step_share(history: Sequence[dict[str, float]], margin: float, nothing: float = -math.inf) -> float:
    """Where the best look lay, as a share (0 to 1) of the steps up to the last look of a loop's history.

    The first look within `margin` of the highest score counts, since a smaller gain is no reason to train
    longer. Where no look is above `nothing`, the score of a network that has learnt nothing, the share is 1:
    its best is still to come. Raises MedtlError for a history without looks.
    """
    scores = {step: entry[HELD_OUT] for step, entry in enumerate(history, start=1) if HELD_OUT in entry}
    if not scores:
        raise MedtlError("best step: the history holds no look at held-out cases; give the loop some")
    highest = max(scores.values())
    if highest <= nothing:
        return 1.0
    return next(step for step, score in scores.items() if score >= highest - margin) / max(scores)


def last_tenth(history: Sequence[dict[str, float]], name: str) -> float:
    """Mean of the entries `name` over the last tenth of the steps that have one."""
    values = _values(history, name)
    return float(values[-max(1, len(values) // 10) :].mean())


def last_change(history: Sequence[dict[str, float]], name: str) -> float:
    """By which share the mean of `name` fell from the last but one tenth of the steps to the last tenth.

    Near 0 once it has settled, below 0 where it rose. Raises MedtlError for fewer than 10 steps and for
    values that are not above 0.
    """
    values = _values(history, name)
    if len(values) < 10 or not values.min() > 0:
        raise MedtlError(
            f"last change: {len(values)} steps with {name!r}, the lowest {values.min():.3g}; expected at "
            "least 10 steps and values above 0"
        )
    before, last = (float(part.mean()) for part in np.array_split(values, 10)[-2:])
    return (before - last) / before


def _values(history: Sequence[dict[str, float]], name: str) -> np.ndarray:
    values = np.array([entry[name] for entry in history if name in entry])
    if not len(values):
        raise MedtlError(f"history: found no entry {name!r}")
    return values
