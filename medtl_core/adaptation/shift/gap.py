"""How much of the gap between source-only and oracle an adaptation closes, seed by seed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medtl_core.errors import MedtlError


@dataclass(frozen=True)
class GapClosed:
    """Per seed (S,): `gaps` (oracle - source), `gains` (adapted - source), `shares` and `negative`.

    Signs are such that higher is better. `spread` is the standard deviation of the gaps over the seeds.
    `shares` is gain / gap, and NaN for a seed whose gap is not above the spread: the ratio would then say
    more about the seed than about the method. `negative` marks seeds with a gain below 0.
    """

    gaps: NDArray[np.float64]
    gains: NDArray[np.float64]
    spread: float
    shares: NDArray[np.float64]
    negative: NDArray[np.bool_]

    @property
    def seeds_with_gap(self) -> int:
        """Number of seeds with a share."""
        return int(np.isfinite(self.shares).sum())

    @property
    def mean_share(self) -> float | None:
        """Mean share over the seeds that have one; None where no seed has a gap above the spread."""
        return float(np.nanmean(self.shares)) if self.seeds_with_gap else None

    @property
    def negative_transfer(self) -> float:
        """Share of all seeds on which adaptation made things worse."""
        return float(self.negative.mean())


def gap_closed(
    source: ArrayLike, adapted: ArrayLike, oracle: ArrayLike, *, higher_is_better: bool = True
) -> GapClosed:
    """Compare one metric of three arms (S,), paired by seed: (adapted - source) / (oracle - source).

    1 reaches the oracle, 0 is no better than source-only, below 0 is negative transfer. MedtlError for
    lengths that differ, fewer than two seeds and values that are not finite.
    """
    arms = [np.asarray(arm, dtype=np.float64) for arm in (source, adapted, oracle)]
    if any(arm.ndim != 1 for arm in arms) or len({len(arm) for arm in arms}) > 1 or len(arms[0]) < 2:
        shapes = ", ".join(str(arm.shape) for arm in arms)
        raise MedtlError(
            f"gap_closed: source, adapted and oracle of shapes {shapes}, expected one value a seed in each "
            "and at least 2 seeds"
        )
    if not all(np.isfinite(arm).all() for arm in arms):
        raise MedtlError("gap_closed: NaN or infinity found, expected a finite value for each arm and seed")
    sign = 1 if higher_is_better else -1
    gaps, gains = sign * (arms[2] - arms[0]), sign * (arms[1] - arms[0])
    spread = float(gaps.std(ddof=1))
    wide = gaps > max(spread, 0)
    shares = np.full(len(gaps), np.nan)
    shares[wide] = gains[wide] / gaps[wide]
    return GapClosed(gaps, gains, spread, shares, gains < 0)
